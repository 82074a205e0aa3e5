import { createServer, type IncomingMessage, type RequestOptions, request } from "node:http";
import { connect } from "node:net";
import { engineAddress } from "../../src/backends/docker/engine-address.ts";

export interface EngineCall {
  readonly method: string;
  /** Without the version and the query. */
  readonly path: string;
  /** What a container was to be made of. */
  readonly body: unknown;
}

export interface EngineRecorder extends AsyncDisposable {
  /** Value for DOCKER_HOST. */
  readonly host: string;
  readonly calls: readonly EngineCall[];
}

/** Stands in front of the Docker Engine, passes everything on, and writes down what was asked for. */
export async function recordEngine(socket: string): Promise<EngineRecorder> {
  const { options: engine } = engineAddress(undefined, process.env);
  const calls: EngineCall[] = [];
  const note = (message: IncomingMessage, body: unknown) => {
    const path = new URL(message.url!, "http://engine").pathname.replace(/^\/v[\d.]+/, "");
    calls.push({ method: message.method!, path, body });
  };
  const toEngine = ({ method, url, headers }: IncomingMessage): RequestOptions => ({
    ...engine,
    ...{ method, path: url, headers },
  });
  const server = createServer((asked, answer) => {
    const isCreation = /\/(containers|networks)\/create(\?|$)/.test(asked.url!);
    const forwarded = request(toEngine(asked), (answered) => {
      answer.writeHead(answered.statusCode!, answered.headers);
      answer.flushHeaders();
      answered.pipe(answer);
      answer.once("close", () => answered.destroy());
    });
    forwarded.once("error", (error) => answer.destroy(error));
    answer.once("close", () => forwarded.destroy());
    if (!isCreation) {
      note(asked, null);
      asked.pipe(forwarded);
      return;
    }
    const chunks: Buffer[] = [];
    asked.on("data", (chunk: Buffer) => chunks.push(chunk));
    asked.once("end", () => {
      const text = Buffer.concat(chunks);
      note(asked, JSON.parse(text.toString("utf8")));
      forwarded.end(text);
    });
  });
  // Attaching turns the connection into one of raw bytes.
  server.on("upgrade", (asked, client, head) => {
    note(asked, null);
    const upstream =
      engine.socketPath === undefined
        ? connect(Number(engine.port), engine.hostname ?? "127.0.0.1")
        : connect(engine.socketPath);
    const lines = asked.rawHeaders.flatMap((text, index, all) =>
      index % 2 === 0 ? [`${text}: ${all[index + 1]}`] : [],
    );
    upstream.write(`${asked.method} ${asked.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
    upstream.write(head);
    upstream.pipe(client).pipe(upstream);
    upstream.on("error", () => client.destroy());
    client.on("error", () => upstream.destroy());
  });
  await new Promise<void>((ready) => server.listen(socket, ready));
  return {
    host: `unix://${socket}`,
    calls,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
