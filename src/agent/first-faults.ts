import type { StepRunSpec } from "../pipeline/step-runs.ts";
import { type Fault, fault, namedFault } from "../protocol/faults.ts";
import { finalStepState } from "./next-attempt.ts";
import type { RunHistory } from "./run-history.ts";

/** Why things failed first: what a failed batch, and a failed run, say of themselves. */
export class FirstFaults {
  #ofRun: Fault | null = null;
  readonly #ofBatches = new Map<string, Fault>();

  /** Whether the run fails by a failure of this step run. */
  readonly #counts: (stepRun: string) => boolean;

  /** Begins with what an earlier process saw. */
  constructor(history: RunHistory, counts: (stepRun: string) => boolean) {
    this.#counts = counts;
    for (const { work, result, again } of [...history.attempts.values()].flat()) {
      const outcome = result?.outcome;
      if (outcome?.fault && !again && finalStepState(outcome) === "failed")
        this.#noteRun(work.ref.stepRun, outcome.fault);
    }
    for (const { stepRun, state, fault: why } of history.ended.values()) {
      if (state === "failed" && why !== null) this.#noteRun(stepRun, why);
    }
  }

  note({ key, parent }: Pick<StepRunSpec, "key" | "parent">, why: Fault): void {
    this.#noteRun(key, why);
    if (parent !== null && !this.#ofBatches.has(parent)) this.#ofBatches.set(parent, namedFault(key, why));
  }

  /** Of the batch with this key. */
  ofBatch(key: string): Fault {
    return this.#ofBatches.get(key) ?? fault("upstream-failed", "An item of this batch did not succeed.");
  }

  ofRun(): Fault {
    return this.#ofRun ?? fault("upstream-failed", "A step did not succeed under an earlier lease of this run.");
  }

  #noteRun(stepRun: string, why: Fault): void {
    if (this.#counts(stepRun)) this.#ofRun ??= namedFault(stepRun, why);
  }
}
