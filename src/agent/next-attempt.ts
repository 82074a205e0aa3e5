import type { Outcome } from "../backends/execution-backend.ts";

/** Attempts of a step run that may end for reasons that are not the user's, before the step run fails for good. */
export const INFRASTRUCTURE_FAULTS_MAX = 3;
/** Before a new attempt after the platform failed: it may need a moment. Doubles each time. */
const FIRST_DELAY_MS = 500;

export type NextAttempt = { readonly again: true; readonly delayMs: number } | { readonly again: false };

/**
 * The one place that decides what follows the end of an attempt. What the platform did wrong is tried again on its own
 * budget; what the step did wrong is final.
 *
 * @param infrastructureFaults how many attempts of this step run the platform failed before this one
 */
export function nextAttempt(outcome: Outcome, infrastructureFaults: number): NextAttempt {
  if (!isInfrastructure(outcome) || infrastructureFaults + 1 >= INFRASTRUCTURE_FAULTS_MAX) return { again: false };
  return { again: true, delayMs: FIRST_DELAY_MS * 2 ** infrastructureFaults };
}

/** What a step run becomes by an attempt that no other follows. */
export function finalStepState({ state }: Outcome): "succeeded" | "failed" | "cancelled" {
  return state === "lost" ? "failed" : state;
}

/** Whether it was not the step's doing. No evidence of how it ended counts as the platform's. */
export function isInfrastructure(outcome: Outcome): boolean {
  if (outcome.state === "succeeded" || outcome.state === "cancelled") return false;
  return outcome.state === "lost" || outcome.fault?.class === "infrastructure";
}
