import { isWhole } from "../../pipeline/cache-key.ts";
import type { NotTakenReason } from "../../protocol/cache.ts";
import type { StepPlan } from "../../protocol/plan.ts";
import type { KnownKey } from "../store/cache.ts";

/**
 * Why the result of the same was not taken at `at`, as far as it can be told afterwards: when a result was given up is not
 * noted, so that what was true at that time comes first. Null where it would be taken by now: its bytes may have been
 * missing then, and have been made again since.
 */
export function notTakenReason(
  step: StepPlan,
  { isKept, hasExpired, finishedAt, outputs }: Pick<KnownKey, "isKept" | "hasExpired" | "finishedAt" | "outputs">,
  at: number,
): Exclude<NotTakenReason, "off"> | null {
  const ttlMs = step.cache?.ttlMs ?? null;
  if (finishedAt > at) return "not-yet";
  if (ttlMs !== null && finishedAt <= at - ttlMs) return "too-old";
  if (hasExpired) return "expired";
  if (!isKept) return "given-up";
  return isWhole(step, outputs) ? null : "gone";
}
