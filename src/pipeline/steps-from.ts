import type { Plan } from "../protocol/plan.ts";

/** A step and all that need it, directly or through others: what has to run again when it does. */
export function stepsFrom(plan: Pick<Plan, "steps">, first: string): Set<string> {
  const dependents = new Map<string, string[]>();
  for (const { name, needs } of plan.steps) {
    for (const need of needs) dependents.set(need, [...(dependents.get(need) ?? []), name]);
  }
  const reached = new Set([first]);
  // A set is walked in the order of insertion, also over what is added meanwhile.
  for (const step of reached) for (const dependent of dependents.get(step) ?? []) reached.add(dependent);
  return reached;
}
