import type { Outcome } from "../backends/execution-backend.ts";
import { type Fault, fault } from "../protocol/faults.ts";
import { readErrorFile } from "./read-error-file.ts";

/** Exit code by which a step says that its data or a rule is wrong, so that trying again would change nothing. */
export const BUSINESS_EXIT_CODE = 65;

/**
 * The outcome that the platform saw, joined with what the step said of itself in `error.json`. A step that says
 * "business error" has failed, with whatever code it exits. What the platform did to it (limit, cancel, loss) stays.
 */
export function joinErrorFile(outcome: Outcome, folder: string): Outcome {
  const code = outcome.fault?.code;
  if (outcome.state !== "succeeded" && code !== "exit-nonzero" && code !== "killed-by-signal") return outcome;
  const said = readErrorFile(folder);
  if (said !== null && "warning" in said) {
    return withFault({ ...outcome, warnings: [...outcome.warnings, said.warning] }, exitFault(outcome, null));
  }
  if (outcome.state === "succeeded" && said?.error.type !== "business") return outcome;
  return withFault(outcome, exitFault(outcome, said?.error ?? null));
}

function exitFault(outcome: Outcome, said: { readonly type: string; readonly message: string } | null): Fault | null {
  if (said?.type === "business") return fault("business", said.message);
  if (outcome.exitCode === BUSINESS_EXIT_CODE) {
    return fault(
      "business",
      said?.message ?? `The step exited with ${BUSINESS_EXIT_CODE}, which stands for a business error.`,
    );
  }
  return said === null || outcome.signal !== null
    ? outcome.fault
    : fault("exit-nonzero", said.message, { evidence: evidenceOf(outcome) });
}

/** What the platform saw, limits that were reached included. */
function evidenceOf({ fault: seen }: Outcome): string {
  return [seen?.message, seen?.evidence].filter((line) => line !== undefined).join("\n");
}

/** The first thing wrong with the outputs turns success into failure; after a failure it is only worth a warning. */
export function joinOutputFaults(outcome: Outcome, faults: readonly Fault[]): Outcome {
  if (faults.length === 0) return outcome;
  const rest = (outcome.state === "succeeded" ? faults.slice(1) : faults).map(({ message }) => message);
  const joined = { ...outcome, warnings: [...outcome.warnings, ...rest] };
  return outcome.state === "succeeded" ? withFault(joined, faults[0]!) : joined;
}

function withFault(outcome: Outcome, why: Fault | null): Outcome {
  return why === null ? outcome : { ...outcome, state: "failed", fault: why };
}

/** The outcome of an attempt whose user code never ran, or of which nothing is known. */
export function outcomeWithout(state: "failed" | "cancelled" | "lost", why: Fault): Outcome {
  return { state, exitCode: null, signal: null, fault: why, stats: {}, warnings: [] };
}
