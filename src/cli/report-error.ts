import { BerthError, type ErrorCode, type Problem } from "../protocol/errors.ts";
import { ServerUnreachable } from "./api/no-answer.ts";
import { CliError } from "./cli-error.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import type { Console } from "./terminal/console.ts";
import { plainLines, plainText } from "./terminal/plain-text.ts";

/** The server's codes that mean "you asked for something that cannot be": nothing is broken. */
const USAGE_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "invalid_request",
  "invalid_body",
  "invalid_pipeline",
  "invalid_params",
  "unauthenticated",
  "forbidden",
  "not_found",
  "conflict",
  "unschedulable",
  "gone",
  "payload_too_large",
  "quota_exceeded",
]);

/** Prints why a command ended, and returns the exit code that belongs to it. */
export function reportError(error: unknown, console: Console): ExitCode {
  const { message, advice, problems, exitCode } = explain(error);
  const { red, dim } = console.noteStyle;
  const [first, ...rest] = plainLines(message);
  console.note(`${red("error:")} ${first}`);
  for (const line of [...rest, ...problems.map((problem) => problemLine(problem))]) console.note(`  ${line}`);
  for (const line of advice) console.note(dim(`  ${plainText(line)}`));
  return exitCode;
}

interface Explanation {
  readonly message: string;
  readonly advice: readonly string[];
  readonly problems: readonly Problem[];
  readonly exitCode: ExitCode;
}

function explain(error: unknown): Explanation {
  if (error instanceof CliError) return error;
  if (error instanceof BerthError) {
    return {
      message: error.message,
      advice: error.advice === undefined ? [] : [error.advice],
      problems: error.problems ?? [],
      exitCode: exitCodeOf(error.code),
    };
  }
  if (error instanceof ServerUnreachable) {
    return {
      message: error.message,
      advice: ["Check the address (--server, BERTH_SERVER or config.json), http or https, and that the server runs."],
      problems: [],
      exitCode: EXIT.broken,
    };
  }
  return { ...explainUnexpected(error), problems: [], exitCode: EXIT.broken };
}

function exitCodeOf(code: ErrorCode): ExitCode {
  if (code === "group_busy") return EXIT.busy;
  return USAGE_CODES.has(code) ? EXIT.usage : EXIT.broken;
}

function explainUnexpected(error: unknown): Pick<Explanation, "message" | "advice"> {
  const code = (error as { code?: unknown } | null)?.code;
  const message = error instanceof Error ? error.message : String(error);
  if (code === "ENOSPC")
    return { message: `No space left on the disk: ${message}`, advice: ["Free some space and try again."] };
  if (typeof code === "string" && /^E[A-Z]+$/.test(code)) return { message, advice: [] };
  const stack = error instanceof Error ? (error.stack ?? message) : message;
  return { message: stack, advice: ["This is a defect in Berth. Please report it with the lines above."] };
}

/** `pipeline.yaml:7:5 steps.clean: unknown key`, and below it the place within a longer text: a position that editors and terminals can jump to. */
export function problemLine(problem: Problem, fileName = ""): string {
  const position = problem.line === undefined ? fileName : `${fileName}:${problem.line}:${problem.column ?? 1}`;
  const where = [position.replace(/^:/, "line "), problem.path].filter((part) => part !== "").join(" ");
  return plainLines(where === "" ? problem.message : `${where}: ${problem.message}`).join("\n");
}
