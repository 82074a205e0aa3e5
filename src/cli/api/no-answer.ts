import { tlsProblem } from "../../std/tls-problem.ts";
import { CliError } from "../cli-error.ts";

/** No answer came: nothing is known about what was asked. */
export class ServerUnreachable extends Error {
  override readonly name = "ServerUnreachable";
  readonly url: string;

  constructor(url: string, cause: unknown) {
    super(`No Berth server answers at ${url}: ${reasonOf(cause)}.`, { cause });
    this.url = url;
  }
}

/** What a request without an answer means: a server that is not believed will not be believed a moment later either. */
export function noAnswerFrom(url: string, error: unknown): Error {
  const problem = tlsProblem(error);
  if (problem === null) return new ServerUnreachable(url, error);
  return new CliError(`${url} was not believed: ${problem.what}.`, { cause: error, advice: [problem.advice] });
}

/** `fetch` wraps the socket's error, which says what happened, in one that says "fetch failed". */
function reasonOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = (inner as { code?: string }).code;
  if (code === "ECONNREFUSED") return "the connection was refused";
  if (code === "ENOTFOUND") return "the host name is not known";
  return inner instanceof Error && inner.message !== "" ? inner.message : String(code ?? inner);
}
