import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { BerthError } from "../../protocol/errors.ts";

/** Refuses what never became a request, or will not be a whole one: there is no reply to send it by. */
export function refuseOn(socket: Socket, error: BerthError, requestId: string): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(error.toBody(requestId));
  const head = [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
    "connection: close",
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}

/** What Node says of bytes that it could not read as a request, in the words of this API. */
export function clientError(code: string | undefined): BerthError {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return new BerthError("request_timeout", "The request did not come to its end in time.");
  }
  if (code === "HPE_HEADER_OVERFLOW") {
    return new BerthError("headers_too_large", "The path, query and headers are longer than 16 KiB together.");
  }
  return new BerthError("invalid_request", "This is not a request of HTTP/1.1.", {
    advice: "Where the server has TLS, its address begins with https://.",
  });
}
