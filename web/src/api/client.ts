import type { z } from "zod";
import type { ErrorBody } from "../../../src/protocol/errors.ts";

/** The public API, as the pages use it: with the session's cookie, and typed by the schemas of the server. */

type ApiProblem = z.infer<typeof ErrorBody>["error"];

export class ApiError extends Error {
  readonly status: number;
  readonly problem: Partial<ApiProblem>;

  constructor(status: number, problem: Partial<ApiProblem> & { message: string }) {
    super(problem.message);
    this.status = status;
    this.problem = problem;
  }
}

export interface AskOptions {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  /** What is undefined is left out. */
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** Of a path below `/api/v1`. */
export function apiUrl(path: string, query: AskOptions["query"] = {}): string {
  const given = Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]]));
  const text = new URLSearchParams(given).toString();
  return `/api/v1${path}${text === "" ? "" : `?${text}`}`;
}

/** Throws an ApiError with what the server said, or that it did not answer. */
export async function ask<T>(path: string, { method = "GET", query, body, signal }: AskOptions = {}): Promise<T> {
  const response = await fetch(apiUrl(path, query), {
    method,
    ...(signal === undefined ? {} : { signal }),
    ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  }).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new ApiError(0, { message: "The server does not answer.", advice: "It is asked again in a moment." });
  });
  if (response.ok) return (response.status === 204 ? undefined : await response.json()) as T;
  throw await errorOf(response);
}

export async function errorOf(response: Response): Promise<ApiError> {
  const body = (await response.json().catch(() => null)) as { error?: ApiProblem } | null;
  return new ApiError(response.status, body?.error ?? { message: `The server answered ${response.status}.` });
}
