import { withVariables } from "../../pipeline/step-variables.ts";
import { didYouMean } from "../../pipeline/suggest.ts";
import type { Plan, StepPlan } from "../../protocol/plan.ts";
import type { Attempt, RunDetail, StepRun } from "../../protocol/resources.ts";
import type { ApiClient } from "../api/client.ts";
import { getPipelineVersion } from "../api/pipelines.ts";
import { getRun, listStepRuns } from "../api/runs.ts";
import { getRunVariables } from "../api/variables.ts";
import { type CliError, usageError } from "../cli-error.ts";
import { runName } from "../follow/summary.ts";
import type { StepRunReference } from "./attempt-reference.ts";

/** Step runs, steps and attempts that an error names. */
const NAMED_MAX = 10;

/** An attempt, with all that is known of where it belongs. */
export interface PastAttempt {
  /** The run that made it: not the one that was asked for, where that took the result over. */
  readonly run: RunDetail;
  readonly plan: Plan;
  readonly step: StepPlan;
  readonly stepRun: StepRun;
  readonly attempt: Attempt;
  /** The run that was asked for, where it took the result over from `run`. */
  readonly takenOverBy: RunDetail | null;
}

/** Finds an attempt; `number` null is the last one. Whatever cannot be replayed is refused, with what can. */
export async function findAttempt(
  api: ApiClient,
  reference: StepRunReference,
  number: number | null,
): Promise<PastAttempt> {
  const run = await getRun(api, reference.run);
  const { plan } = await getPipelineVersion(api, run.pipeline, run.pipelineVersion);
  const step = plan.steps.find(({ name }) => reference.stepRun === name || reference.stepRun.startsWith(`${name}[`));
  if (step === undefined) throw noSuchStep(run, plan, reference.stepRun);
  const stepRun = chooseStepRun(run, step, await listStepRuns(api, run.id, { step: step.name }), reference.stepRun);
  if (stepRun.takenFrom !== null) {
    const maker = await findAttempt(api, { run: stepRun.takenFrom.id, stepRun: stepRun.key }, number);
    return { ...maker, takenOverBy: run };
  }
  const { project: variables } = await getRunVariables(api, run.id);
  return {
    run,
    plan: withVariables(plan, variables),
    step,
    stepRun,
    attempt: chooseAttempt(run, stepRun, number),
    takenOverBy: null,
  };
}

function noSuchStep(run: RunDetail, plan: Plan, wanted: string): CliError {
  const names = plan.steps.map(({ name }) => name);
  const hint = didYouMean(wanted, names);
  const message = `${runName(run)} has no step "${wanted}"${hint === "" ? "." : hint}`;
  return usageError(message, `Its steps: ${someOf(names)}.`);
}

function chooseStepRun(run: RunDetail, step: StepPlan, all: readonly StepRun[], wanted: string): StepRun {
  // A batch as a whole runs nothing.
  const single = all.filter(({ item }) => step.batch === null || item !== null);
  const exact = single.find(({ key }) => key === wanted);
  const below = single.filter(({ key, step: name, parent }) => wanted === name || wanted === parent || wanted === key);
  const chosen = exact ?? (below.length === 1 ? below[0] : undefined);
  if (chosen !== undefined) return chosen;
  const name = `${runName(run)}/${wanted}`;
  if (single.length === 0) throw usageError(`${name} ran nothing: its batch was not split.`);
  const candidates = below.length > 0 ? below : single;
  const failed = candidates.filter(({ state }) => state === "failed");
  const advice =
    failed.length > 0
      ? `Failed: ${someOf(failed.map(({ key }) => key))}.`
      : `There are: ${someOf(candidates.map(({ key }) => key))}.`;
  if (below.length === 0) throw usageError(`${runName(run)} has no step run "${wanted}".`, advice);
  throw usageError(`${name} has ${below.length} step runs: choose one.`, advice);
}

function chooseAttempt(run: RunDetail, { key, state, fault, attempts }: StepRun, number: number | null): Attempt {
  const name = `${runName(run)}/${key}`;
  const last = attempts.at(-1);
  if (last === undefined) {
    const why = fault === null ? "" : ` (${fault.message})`;
    throw usageError(`${name} never ran: it is ${state}${why}.`, "Only an attempt that was made can be made again.");
  }
  const chosen = number === null ? last : attempts.find(({ attempt }) => attempt === number);
  if (chosen !== undefined) return chosen;
  const there = someOf(attempts.map(({ attempt, state: how }) => `${attempt} (${how})`));
  throw usageError(`${name} has no attempt ${number}.`, `There are: ${there}.`);
}

function someOf(names: readonly string[]): string {
  const more = names.length - NAMED_MAX;
  return `${names.slice(0, NAMED_MAX).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
