import { constants } from "node:os";
import type { Outcome } from "../../backends/execution-backend.ts";
import { EXIT } from "../exit-code.ts";

/** Shells tell a signal's death from an exit by this. */
const SIGNALLED = 128;

/** The step's own exit code, where it has one; what shells say of a signal; else what commands of Berth exit with. */
export function exitCodeOf({ state, exitCode, signal, fault }: Outcome): number {
  if (state === "succeeded") return EXIT.success;
  if (exitCode !== null && exitCode !== 0) return exitCode;
  const number = signal === null ? undefined : constants.signals[signal as NodeJS.Signals];
  if (number !== undefined) return SIGNALLED + number;
  return fault?.class === "infrastructure" || fault?.class === "configuration" ? EXIT.broken : EXIT.runFailed;
}
