import type { Outcome } from "../backends/execution-backend.ts";
import type { AttemptFaults } from "../protocol/agent-api.ts";
import { type Fault, fault } from "../protocol/faults.ts";
import type { RetryPolicy } from "../protocol/plan.ts";

/** Before a new attempt after the platform failed: it may need a moment. Doubles each time, up to the maximum. */
const PLATFORM_DELAY_MS = 500;
const PLATFORM_DELAY_MAX_MS = 60_000;
/** Of the memory limit, where the policy names no highest one. */
const MEMORY_GROWTH_MAX = 4;

export type NextAttempt =
  | {
      readonly again: true;
      readonly delayMs: number;
      /** The memory limit of that attempt, where it is higher than this one's. */
      readonly moreMemoryBytes: number | null;
    }
  | { readonly again: false };

/** What decides besides the outcome: the step's policy and memory limit, and what went wrong before. */
export interface RetryRules {
  readonly policy: RetryPolicy;
  /** Of the first attempt; null is no limit. */
  readonly memoryBytes: number | null;
  /** What its worker has: more would start nowhere. */
  readonly memoryMostBytes: number;
}

export const NO_FAULTS: AttemptFaults = { own: 0, oom: 0, infrastructure: 0 };

/**
 * The one place that decides what follows the end of an attempt. What the platform did wrong is tried again on its own
 * budget. What the step did wrong is tried again as its policy says; a business error, a wrong configuration and a
 * cancel never are, and running out of memory only when there is more to be had.
 *
 * @param before the attempts of this step run that went wrong before this one
 * @param random for jitter, from 0 up to 1
 */
export function nextAttempt(
  outcome: Outcome,
  rules: RetryRules,
  before: AttemptFaults,
  random: () => number,
): NextAttempt {
  const { policy } = rules;
  const kind = kindOf(outcome);
  if (kind === null) return { again: false };
  if (kind === "infrastructure") {
    if (before.infrastructure >= policy.infrastructureMax) return { again: false };
    const delayMs = Math.min(PLATFORM_DELAY_MS * 2 ** before.infrastructure, PLATFORM_DELAY_MAX_MS);
    return { again: true, delayMs, moreMemoryBytes: null };
  }
  const { class: faultClass, code } = outcome.fault!;
  if (before.own >= policy.max || !(policy.on.includes(faultClass) || policy.on.includes(code)))
    return { again: false };
  const next = memoryAfter(countFault(before, outcome), rules);
  const moreMemoryBytes = next === memoryAfter(before, rules) ? null : next;
  if (kind === "oom" && moreMemoryBytes === null) return { again: false };
  return { again: true, delayMs: delayOf(policy, before.own, random), moreMemoryBytes };
}

/**
 * Why no attempt may follow that the platform owes: the workers before this one were lost with attempts more often than
 * the policy allows. Null when one may.
 */
export function platformUsedUp({ infrastructure }: AttemptFaults, { policy }: RetryRules): Fault | null {
  if (infrastructure <= policy.infrastructureMax) return null;
  const times = infrastructure === 1 ? "once" : `${infrastructure} times`;
  return fault("node-lost", `The platform failed ${times} under the step, more often than its retry policy allows.`, {
    advice: "See what became of its workers; raise retry.infrastructure, or restart the run.",
  });
}

/** The memory limit of the attempt that follows these faults; null is no limit. */
export function memoryAfter(
  { oom }: AttemptFaults,
  { policy, memoryBytes, memoryMostBytes }: RetryRules,
): number | null {
  if (memoryBytes === null) return null;
  const most = Math.min(policy.maxMemoryBytes ?? memoryBytes * MEMORY_GROWTH_MAX, memoryMostBytes);
  return Math.min(memoryBytes * 2 ** oom, Math.max(memoryBytes, most));
}

/** The same with one more attempt that ended like this. */
export function countFault(faults: AttemptFaults, outcome: Outcome): AttemptFaults {
  const kind = kindOf(outcome);
  if (kind === null) return faults;
  if (kind === "infrastructure") return { ...faults, infrastructure: faults.infrastructure + 1 };
  return { ...faults, own: faults.own + 1, oom: faults.oom + (kind === "oom" ? 1 : 0) };
}

/** What a step run becomes by an attempt that no other follows. */
export function finalStepState({ state }: Outcome): "succeeded" | "failed" | "cancelled" {
  return state === "lost" ? "failed" : state;
}

/** Null for what is no fault, or is final whatever a policy says. No evidence of how it ended is the platform's fault. */
function kindOf({ state, fault: why }: Outcome): "infrastructure" | "oom" | "own" | null {
  if (state === "lost") return "infrastructure";
  if (state !== "failed" || why === null) return null;
  switch (why.class) {
    case "infrastructure":
    case "oom":
      return why.class;
    case "business":
    case "configuration":
    case "cancelled":
      return null;
    case "application":
    case "timeout":
    case "output":
      return "own";
  }
}

function delayOf({ delayMs, backoff, maxDelayMs }: RetryPolicy, retries: number, random: () => number): number {
  switch (backoff) {
    case "fixed":
      return Math.min(delayMs, maxDelayMs);
    case "linear":
      return Math.min(delayMs * (retries + 1), maxDelayMs);
    case "exponential":
      // Full jitter: of many that failed together, no two come back together.
      return Math.round(random() * Math.min(delayMs * 2 ** retries, maxDelayMs));
  }
}
