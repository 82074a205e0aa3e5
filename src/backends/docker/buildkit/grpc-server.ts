import { once } from "node:events";
import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Duplex } from "node:stream";

/** One call of the other side: messages come and go until the handler returns. */
export interface GrpcCall {
  readonly metadata: IncomingHttpHeaders;
  readonly messages: AsyncIterable<Buffer>;
  /** Resolves when there is room for the next one. */
  send(message: Uint8Array): Promise<void>;
}

export type GrpcHandler = (call: GrpcCall) => Promise<void>;

/** The end of a call that is not a success, with a code of gRPC. */
export class GrpcError extends Error {
  override readonly name = "GrpcError";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export const GRPC_UNKNOWN = 2;
export const GRPC_NOT_FOUND = 5;
export const GRPC_UNIMPLEMENTED = 12;

/** Requests of a builder are names and acknowledgements. */
const MESSAGE_MAX_BYTES = 4 * 1024 * 1024;
const FRAME_HEAD_BYTES = 5;

/**
 * Serves gRPC on a connection that is there already, with HTTP/2 as Node has it: a builder calls back over the connection
 * that a client opened to it. The methods are those of this table, by path; disposing it ends the connection.
 */
export function serveGrpc(connection: Duplex, methods: ReadonlyMap<string, GrpcHandler>): Disposable {
  const session: ServerHttp2Session = performServerHandshake(connection);
  session.on("stream", (stream, headers) => void answer(stream, headers, methods));
  // A connection that breaks breaks its calls, and the build with them, which says so.
  session.on("error", () => {});
  connection.on("error", () => {});
  return {
    [Symbol.dispose]() {
      session.destroy();
      connection.destroy();
    },
  };
}

/** A method with one message each way. */
export function unary(handle: (request: Buffer) => Promise<Uint8Array> | Uint8Array): GrpcHandler {
  return async ({ messages, send }) => {
    for await (const request of messages) return send(await handle(request));
    throw new GrpcError(GRPC_UNKNOWN, "the call came without a message");
  };
}

async function answer(
  stream: ServerHttp2Stream,
  metadata: IncomingHttpHeaders,
  methods: ReadonlyMap<string, GrpcHandler>,
): Promise<void> {
  stream.on("error", () => {});
  const path = metadata[":path"] ?? "";
  const trailers = await outcome(stream, metadata, methods.get(path), path);
  if (stream.destroyed) return;
  stream.once("wantTrailers", () => stream.sendTrailers(trailers));
  if (!stream.headersSent) respond(stream);
  stream.end();
}

async function outcome(
  stream: ServerHttp2Stream,
  metadata: IncomingHttpHeaders,
  handler: GrpcHandler | undefined,
  path: string,
): Promise<Record<string, string>> {
  try {
    if (handler === undefined) throw new GrpcError(GRPC_UNIMPLEMENTED, `there is no method ${path}`);
    await handler({ metadata, messages: messagesOf(stream), send: (message) => writeMessage(stream, message) });
    return { "grpc-status": "0" };
  } catch (error) {
    const code = error instanceof GrpcError ? error.code : GRPC_UNKNOWN;
    return { "grpc-status": `${code}`, "grpc-message": encodeURIComponent((error as Error).message) };
  }
}

function respond(stream: ServerHttp2Stream): void {
  stream.respond(
    { [constants.HTTP2_HEADER_STATUS]: 200, [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc" },
    { waitForTrailers: true },
  );
}

async function writeMessage(stream: ServerHttp2Stream, message: Uint8Array): Promise<void> {
  if (stream.destroyed) throw new Error("the builder has ended the call");
  if (!stream.headersSent) respond(stream);
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUInt32BE(message.length, 1);
  if (stream.write(Buffer.concat([head, message]))) return;
  const ended = new AbortController();
  const { signal } = ended;
  try {
    await Promise.race([once(stream, "drain", { signal }), once(stream, "close", { signal })]);
  } finally {
    ended.abort();
  }
}

async function* messagesOf(stream: ServerHttp2Stream): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  // A handler that has read enough still answers: the stream must outlive its reader.
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= FRAME_HEAD_BYTES) {
      const length = rest.readUInt32BE(1);
      if (rest[0] !== 0) throw new GrpcError(GRPC_UNIMPLEMENTED, "messages are not to be compressed");
      if (length > MESSAGE_MAX_BYTES) throw new GrpcError(GRPC_UNKNOWN, "a message is larger than a builder's");
      if (rest.length < FRAME_HEAD_BYTES + length) break;
      yield rest.subarray(FRAME_HEAD_BYTES, FRAME_HEAD_BYTES + length);
      rest = rest.subarray(FRAME_HEAD_BYTES + length);
    }
  }
}
