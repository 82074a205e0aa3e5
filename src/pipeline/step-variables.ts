import type { Plan, StepPlan } from "../protocol/plan.ts";
import { type StepVariable, VARIABLE_LEVELS, type VariableLevel, type VariableValues } from "../protocol/variables.ts";

type WithEnv = Pick<Plan, "env" | "environments">;

/** The plan as a run of a project with these variables follows it: they are what the pipeline's own override. */
export function withVariables<P extends Pick<Plan, "env">>(plan: P, variables: VariableValues): P {
  return { ...plan, env: { ...variables, ...plan.env } };
}

/** What a step is given, level by level, and what wins. Templates stand as they are written. */
export function stepVariables(plan: WithEnv, step: StepPlan, variables: VariableValues): StepVariable[] {
  const levels: Record<VariableLevel, VariableValues> = {
    project: variables,
    pipeline: plan.env,
    environment: plan.environments[step.environment]?.env ?? {},
    step: step.env,
  };
  const names = new Set(VARIABLE_LEVELS.flatMap((level) => Object.keys(levels[level])));
  return [...names].toSorted().map((name) => {
    const set = VARIABLE_LEVELS.filter((level) => Object.hasOwn(levels[level], name));
    const [winner, ...overridden] = set.toReversed().map((from) => ({ from, value: levels[from][name]! }));
    return { name, ...winner!, overrides: overridden };
  });
}
