import type { FastifyRequest } from "fastify";
import { BerthError } from "../../protocol/errors.ts";

/** How many bytes the body of an upload has, as its sender says. */
export function announcedSize(request: FastifyRequest): number {
  const length = request.headers["content-length"];
  if (length !== undefined) return Number(length);
  throw new BerthError("invalid_request", "An upload says its size before it begins.", {
    advice: "Send `content-length`; chunked uploads are not taken.",
  });
}
