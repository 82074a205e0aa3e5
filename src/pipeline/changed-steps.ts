import type { Environment, Params, Plan, SourceRef, StepPlan } from "../protocol/plan.ts";
import { cacheComponents, cacheDifferences } from "./cache-key.ts";
import { stepsFrom } from "./steps-from.ts";

/** What a run is made of, as far as it is known before it runs. */
export interface Definition {
  readonly plan: Plan;
  readonly params: Params;
  readonly source: SourceRef | null;
}

/**
 * Steps that make something else by a newer definition, each with what changed, and those that follow from them. What
 * decides is what decides for the cache; limits and retries do not.
 */
export function changedSteps(before: Definition, after: Definition): Map<string, string[]> {
  const changed = new Map<string, string[]>();
  for (const step of after.plan.steps) {
    const old = before.plan.steps.find(({ name }) => name === step.name);
    const what = old === undefined ? ["the step is new"] : differences([before, old], [after, step]);
    if (what.length > 0) changed.set(step.name, what);
  }
  for (const first of [...changed.keys()]) {
    for (const step of stepsFrom(after.plan, first)) if (!changed.has(step)) changed.set(step, [`it needs ${first}`]);
  }
  return changed;
}

function differences(before: [Definition, StepPlan], after: [Definition, StepPlan]): string[] {
  const parts = cacheDifferences(componentsOf(...before), componentsOf(...after)).map(({ name }) => name);
  const shape = (["inputs", "batch", "matrix", "when", "phase"] as const).filter(
    (key) => JSON.stringify(before[1][key]) !== JSON.stringify(after[1][key]),
  );
  return [...parts, ...shape];
}

function componentsOf({ plan, params, source }: Definition, step: StepPlan): Record<string, string> {
  const environment = plan.environments[step.environment]!;
  const used = takesSource(environment) ? source : null;
  const facts = { plan, step, matrix: null, params, source: used, image: null, inputs: {}, share: null };
  return { ...cacheComponents(facts), environment: JSON.stringify(environment) };
}

function takesSource(environment: Environment): boolean {
  if (environment.kind === "dockerfile" || environment.source !== null) return true;
  if (environment.kind === "image") return false;
  return (environment.python?.requirements ?? environment.node?.lockfile ?? null) !== null;
}
