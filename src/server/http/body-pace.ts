import type { FastifyInstance } from "fastify";
import { BerthError } from "../../protocol/errors.ts";
import { refuseOn } from "./raw-answers.ts";
import { hasBody } from "./request-body.ts";

/** How slowly a body may arrive that has to be here as a whole before its request is looked at. */
export interface BodyPace {
  /** Before this nothing is expected. */
  readonly graceMs: number;
  /** What has to have arrived since the request began, on average, at any time after that. */
  readonly bytesPerSecondMin: number;
}

/** What a telephone line sends is enough; the largest JSON body takes a worker with 1 Mbit/s four minutes. */
export const BODY_PACE: BodyPace = { graceMs: 20_000, bytesPerSecondMin: 500 };

const LOOK_EVERY_MS = 5_000;

/**
 * Closes the connection of whoever sends a byte now and then, so that no timeout for silence ever comes, and holds a
 * connection and a buffer for hours. Streams of bytes are left alone: they are taken as fast as the store takes them, and
 * only from callers that may store.
 */
export function addBodyPace(app: FastifyInstance, { graceMs, bytesPerSecondMin }: BodyPace): void {
  app.addHook("preParsing", async (request, _reply, payload) => {
    if (!hasBody(request) || request.routeOptions.config.route?.rawBody !== undefined) return payload;
    const { socket } = request.raw;
    const began = performance.now();
    const before = socket.bytesRead;
    const look = () => {
      if (request.raw.complete) return;
      const seconds = (performance.now() - began) / 1000;
      if (socket.bytesRead - before >= bytesPerSecondMin * seconds) timer = setTimeout(look, LOOK_EVERY_MS).unref();
      // Past the parser, which still waits for the body and takes no other answer meanwhile.
      else refuseOn(socket, tooSlow(), request.id);
    };
    let timer = setTimeout(look, graceMs).unref();
    payload.once("end", () => clearTimeout(timer)).once("close", () => clearTimeout(timer));
    return payload;
  });
}

function tooSlow(): BerthError {
  return new BerthError("request_timeout", "The body arrives too slowly.", {
    advice: "Send the request again, as a whole.",
  });
}
