import type { Plan } from "../protocol/plan.ts";
import type { Needs } from "../protocol/resources.ts";

/**
 * What a worker must have at least, in order to run these steps one after another: of each resource the most that a
 * single step asks for. How many run at once is a matter of the worker, which lets the others wait.
 */
export function runNeeds({ steps }: Pick<Plan, "steps">): Needs {
  const most = (of: (resources: Plan["steps"][number]["resources"]) => number | null | undefined) =>
    steps.reduce((highest, { resources }) => Math.max(highest, of(resources) ?? 0), 0);
  return {
    cpus: most(({ cpu }) => cpu),
    memoryBytes: most(({ memoryBytes }) => memoryBytes),
    gpus: most(({ gpus }) => gpus),
    diskBytes: most(({ diskBytes }) => diskBytes),
  };
}
