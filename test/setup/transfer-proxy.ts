import http from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

/** What becomes of a request on its way. */
export type Fault =
  /** This many bytes of its body get through, then the connection breaks. */
  | { readonly cutRequestAfter: number }
  /** This many bytes of its answer get through, then the connection breaks. */
  | { readonly cutAnswerAfter: number }
  /** The byte of the request's body at this place is another. */
  | { readonly changeRequestAt: number }
  /** The byte of the answer at this place is another. */
  | { readonly changeAnswerAt: number }
  /** Answered by the proxy itself. */
  | { readonly answer: number; readonly body?: string }
  /** Nothing ever comes. */
  | "hang"
  | "refuse"
  | undefined;

export interface TransferProxy {
  readonly url: string;
  /** Every request as `PUT /path`, in order of arrival. */
  readonly requests: string[];
  /** Bytes of bodies that were passed on to the server. */
  sentBytes: number;
  /** Bytes of answers that were passed on from the server. */
  receivedBytes: number;
  /** Answers that were passed on whole. */
  answers: number;
  fault: (request: http.IncomingMessage) => Fault;
}

/**
 * Stands between a client and a server, and does what it is told to requests that pass. Made before the server, so that it
 * ends before it: a server waits for the connections that it has.
 */
export async function transferProxy(t: TestContext, target: () => string): Promise<TransferProxy> {
  const sockets = new Set<{ destroy(): void }>();
  const server = http.createServer((incoming, outgoing) => {
    proxy.requests.push(`${incoming.method} ${incoming.url!.replace(/\?.*/, "")}`);
    const fault = proxy.fault(incoming);
    if (fault === "refuse") {
      incoming.socket.destroy();
      return;
    }
    if (fault === "hang") {
      incoming.resume();
      return;
    }
    if (fault !== undefined && "answer" in fault) {
      incoming.resume();
      outgoing.writeHead(fault.answer).end(fault.body ?? "");
      return;
    }
    const to = new URL(target());
    // The address it was signed for is the one that the client knows.
    const { url: path, method, headers } = incoming;
    const passed = http.request({ host: to.hostname, port: to.port, path, method, headers, agent: false });
    sockets.add(passed);
    passed.on("close", () => sockets.delete(passed));
    passed.on("error", () => incoming.socket.destroy());
    incoming.on("close", () => {
      if (!incoming.complete) passed.destroy();
    });
    let sent = 0;
    incoming.on("data", (chunk: Buffer) => {
      const limit = fault !== undefined && "cutRequestAfter" in fault ? fault.cutRequestAfter : Infinity;
      const bytes = changed(
        chunk,
        sent,
        fault !== undefined && "changeRequestAt" in fault ? fault.changeRequestAt : -1,
      );
      const rest = bytes.subarray(0, Math.max(0, limit - sent));
      sent += chunk.length;
      proxy.sentBytes += rest.length;
      if (!passed.write(rest)) {
        incoming.pause();
        passed.once("drain", () => incoming.resume());
      }
      if (sent < limit) return;
      // What was written is on its way before the connection ends.
      passed.socket?.end();
      incoming.socket.destroy();
    });
    incoming.on("end", () => passed.end());
    passed.on("response", (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      let received = 0;
      answer.on("data", (chunk: Buffer) => {
        const limit = fault !== undefined && "cutAnswerAfter" in fault ? fault.cutAnswerAfter : Infinity;
        const at = fault !== undefined && "changeAnswerAt" in fault ? fault.changeAnswerAt : -1;
        const rest = changed(chunk, received, at).subarray(0, Math.max(0, limit - received));
        received += chunk.length;
        proxy.receivedBytes += rest.length;
        if (received >= limit) {
          outgoing.write(rest, () => incoming.socket.destroy());
          answer.destroy();
        } else if (!outgoing.write(rest)) {
          answer.pause();
          outgoing.once("drain", () => answer.resume());
        }
      });
      answer.on("end", () => {
        proxy.answers += 1;
        outgoing.end();
      });
      answer.on("error", () => incoming.socket.destroy());
    });
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const proxy: TransferProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    sentBytes: 0,
    receivedBytes: 0,
    answers: 0,
    fault: () => undefined,
  };
  return proxy;
}

function changed(chunk: Buffer, at: number, place: number): Buffer {
  if (place < at || place >= at + chunk.length) return chunk;
  const other = Buffer.from(chunk);
  other[place - at]! ^= 1;
  return other;
}
