import type { Problem } from "../protocol/errors.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";

export interface CliErrorOptions extends ErrorOptions {
  readonly exitCode?: ExitCode;
  /** What the user can do about it, one line each. */
  readonly advice?: readonly string[];
  readonly problems?: readonly Problem[];
}

/** Ends a command: what was attempted and what went wrong, in words for the person at the terminal. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: ExitCode;
  readonly advice: readonly string[];
  readonly problems: readonly Problem[];

  constructor(message: string, options: CliErrorOptions = {}) {
    super(message, options);
    this.exitCode = options.exitCode ?? EXIT.broken;
    this.advice = options.advice ?? [];
    this.problems = options.problems ?? [];
  }
}

/** The command was called in a way it cannot be. */
export function usageError(message: string, ...advice: string[]): CliError {
  return new CliError(message, { exitCode: EXIT.usage, advice });
}
