import { batchItems, initialStepRuns, type PriorState, type StepRunSpec } from "../pipeline/step-runs.ts";
import type { PriorStepRun } from "../protocol/agent-api.ts";
import type { Content } from "../protocol/artifacts.ts";
import { isTerminal, STEP_TRANSITIONS } from "../protocol/states.ts";
import { finalStepState } from "./next-attempt.ts";
import type { AttemptHistory, RunHistory } from "./run-history.ts";

/** What is known of a run's step runs before this process does anything for it. */
export interface KnownProgress {
  readonly states: readonly PriorState[];
  /** Outputs by step run. */
  readonly outputs: Map<string, Readonly<Record<string, Content>>>;
  /** The step runs that had attempts under this lease. */
  readonly specs: ReadonlyMap<string, StepRunSpec>;
  /** Attempts that the server knew of when the run was taken, by step run. */
  readonly tries: ReadonlyMap<string, Pick<PriorStepRun, "attempts" | "faults">>;
  /** Batches that were split under an earlier lease: the server is told again, for this lease. */
  readonly splitBefore: readonly { readonly stepRun: string; readonly items: number }[];
}

/** Joins what the server handed over with the run and what the journal of this lease says. */
export function knownProgress(history: RunHistory): KnownProgress {
  const states = new Map<string, PriorState>();
  const outputs = new Map<string, Readonly<Record<string, Content>>>();
  const splitBefore: { stepRun: string; items: number }[] = [];
  for (const prior of history.assignment!.prior) {
    const { stepRun, items } = prior;
    const ended = isTerminal(STEP_TRANSITIONS, prior.state);
    states.set(stepRun, { stepRun, items, state: ended ? prior.state : "pending", byCondition: prior.byCondition });
    outputs.set(stepRun, prior.outputs);
    if (items !== null && !ended && !history.expanded.has(stepRun)) splitBefore.push({ stepRun, items });
  }
  for (const [stepRun, items] of history.expanded)
    states.set(stepRun, { stepRun, items, state: "running", byCondition: false });
  for (const [stepRun, taken] of history.cached) {
    states.set(stepRun, { stepRun, items: null, state: "succeeded", byCondition: false });
    outputs.set(stepRun, taken);
  }
  for (const [stepRun, tries] of history.attempts) {
    const last = tries.at(-1)!;
    states.set(stepRun, { stepRun, items: null, state: stateAfter(last), byCondition: false });
    if (last.result !== null) outputs.set(stepRun, last.result.outputs);
  }
  for (const [stepRun, { state, fault }] of history.ended) {
    const items = states.get(stepRun)?.items ?? null;
    states.set(stepRun, { stepRun, items, state, byCondition: fault?.code === "condition" });
  }
  const tries = new Map(history.assignment!.prior.map((prior) => [prior.stepRun, prior]));
  return { states: [...states.values()], outputs, specs: attempted(history, states), tries, splitBefore };
}

function attempted(history: RunHistory, states: ReadonlyMap<string, PriorState>): Map<string, StepRunSpec> {
  const specs = new Map<string, StepRunSpec>();
  if (history.attempts.size === 0) return specs;
  for (const spec of initialStepRuns(history.assignment!.plan)) {
    for (const one of [spec, ...batchItems(spec, states.get(spec.key)?.items ?? 0)]) {
      if (history.attempts.has(one.key)) specs.set(one.key, one);
    }
  }
  return specs;
}

function stateAfter({ intended, result, again }: AttemptHistory): PriorState["state"] {
  if (result === null) return intended ? "running" : "pending";
  // To the server it still runs until its next attempt has ended.
  return again ? "running" : finalStepState(result.outcome);
}
