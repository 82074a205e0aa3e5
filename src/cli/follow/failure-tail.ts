import { LogLines } from "../../protocol/log-lines.ts";
import type { StepRun } from "../../protocol/resources.ts";
import type { ApiClient } from "../api/client.ts";
import { streamLogs } from "../api/runs.ts";
import { plainText } from "../terminal/plain-text.ts";
import type { Style } from "../terminal/style.ts";
import { logText } from "./log-text.ts";

const LINES_MAX = 15;

/** The last lines that the first failed step run wrote: mostly the reason why it failed. */
export async function failureTail(
  api: ApiClient,
  run: string,
  steps: readonly StepRun[],
  style: Style,
): Promise<string[]> {
  const failed = steps.find((step) => step.state === "failed" && step.attempts.length > 0);
  if (failed === undefined) return [];
  const query = { step: failed.key, attempt: failed.attempts.at(-1)!.attempt, tail: LINES_MAX };
  const lines = new LogLines();
  const tail: string[] = [];
  for await (const chunk of streamLogs(api, run, query, new AbortController().signal)) {
    tail.push(...lines.add(chunk).map((line) => line.text));
  }
  tail.push(...lines.flush().map((line) => line.text));
  if (tail.length === 0) return [];
  return [
    style.dim(`Last lines of ${plainText(failed.key)}:`),
    ...tail.slice(-LINES_MAX).flatMap((line) => logText(line, { style, clean: true }).map((text) => `  ${text}`)),
    "",
  ];
}
