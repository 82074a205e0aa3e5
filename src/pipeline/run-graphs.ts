import type { Phase, Plan } from "../protocol/plan.ts";
import { RunGraph } from "./graph.ts";
import type { EndState } from "./run-graph-node.ts";
import type { PriorState, StepRunSpec } from "./step-runs.ts";

/** The graphs of a run, one for each phase: each is driven to its end before the next. */
export class RunGraphs {
  readonly #phases: Readonly<Record<Phase, RunGraph>>;
  readonly #phaseOf: ReadonlyMap<string, Phase>;

  constructor(plan: Pick<Plan, "steps"> & Partial<Pick<Plan, "failFast">>, prior: readonly PriorState[] = []) {
    this.#phases = {
      main: new RunGraph(plan, prior),
      // What is to happen after a failure, or in any case, is not given up for a failure.
      on_failure: new RunGraph({ steps: plan.steps }, prior, "on_failure"),
      finally: new RunGraph({ steps: plan.steps }, prior, "finally"),
    };
    this.#phaseOf = new Map(plan.steps.map(({ name, phase }) => [name, phase]));
  }

  phase(phase: Phase): RunGraph {
    return this.#phases[phase];
  }

  /** See RunGraph. */
  producers(step: string): StepRunSpec[] {
    return this.#of(step).producers(step);
  }

  stateOfStep(step: string): EndState | "running" {
    return this.#of(step).stateOfStep(step);
  }

  #of(step: string): RunGraph {
    const phase = this.#phaseOf.get(step);
    if (phase === undefined) throw new TypeError(`the plan has no step ${step}`);
    return this.#phases[phase];
  }
}
