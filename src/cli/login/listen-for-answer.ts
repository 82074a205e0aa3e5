import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { CliError } from "../cli-error.ts";

/** As long as a provider lets people take to log in, or nearly. */
const ANSWER_TIMEOUT_MS = 5 * 60_000;

export interface AnswerListener extends AsyncDisposable {
  readonly redirectUri: string;
  /** The query that the browser came back with. */
  answer(): Promise<string>;
}

/**
 * Listens on the loopback interface for the browser to come back (RFC 8252, 7.3). What does not carry the state of this
 * login is turned away, and waited on.
 */
export async function listenForAnswer(state: string, timeoutMs: number = ANSWER_TIMEOUT_MS): Promise<AnswerListener> {
  const answered = Promise.withResolvers<string>();
  // Where the login fails before anybody waits for it.
  answered.promise.catch(() => {});
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://127.0.0.1");
    const isIt = request.method === "GET" && url.pathname === "/callback" && url.searchParams.get("state") === state;
    const headers = { "content-type": "text/plain; charset=utf-8", connection: "close", "cache-control": "no-store" };
    response.writeHead(isIt ? 200 : 404, headers);
    response.end(isIt ? "Back to the terminal: this window can be closed.\n" : "There is nothing here.\n");
    if (isIt) answered.resolve(url.search);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const timer = setTimeout(() => answered.reject(new CliError("Nobody logged in within five minutes.")), timeoutMs);
  return {
    redirectUri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`,
    answer: () => answered.promise,
    async [Symbol.asyncDispose]() {
      clearTimeout(timer);
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
