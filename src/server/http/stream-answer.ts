import { Readable } from "node:stream";
import type { FastifyReply } from "fastify";

/** Half of the time after which proxies commonly take a silent connection for a dead one. */
export const STILL_HERE_INTERVAL_MS = 15_000;
/** Finds a client that is gone without a word, on a stream that may be silent for as long as it likes. */
const KEEP_ALIVE_PROBE_MS = 30_000;

/** Answers with whatever the generator yields, as fast as the client takes it; it is closed when the client goes. */
export function streamAnswer(
  reply: FastifyReply,
  contentType: string,
  pieces: AsyncIterable<string | Uint8Array>,
): Readable {
  reply.type(contentType);
  reply.header("cache-control", "no-store");
  reply.header("x-accel-buffering", "no");
  // The headers go out at once: the client is to know that it is connected, however long the first piece takes.
  reply.raw.once("pipe", () => reply.raw.flushHeaders());
  const { socket } = reply.raw;
  socket?.setTimeout?.(0);
  socket?.setKeepAlive?.(true, KEEP_ALIVE_PROBE_MS);
  return Readable.from(pieces, { objectMode: false });
}
