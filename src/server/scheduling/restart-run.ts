import { runNeeds } from "../../pipeline/run-need.ts";
import { initialStepRuns } from "../../pipeline/step-runs.ts";
import { stepsFrom } from "../../pipeline/steps-from.ts";
import { didYouMean } from "../../pipeline/suggest.ts";
import { BerthError } from "../../protocol/errors.ts";
import { newId } from "../../protocol/ids.ts";
import type { Concurrency, Plan, StepPlan } from "../../protocol/plan.ts";
import type { RestartRunRequest } from "../../protocol/resources.ts";
import { isTerminal, RUN_TRANSITIONS } from "../../protocol/states.ts";
import type { Services } from "../services.ts";
import { artifactsInRun } from "../store/artifact-commit.ts";
import type { Queryable } from "../store/database.ts";
import { appendServerEvents } from "../store/events.ts";
import { findVersion, takeRunNumber } from "../store/pipelines.ts";
import { artifactsOf, type EndedStepRun, endedStepRuns, type OriginalRun, originalRun } from "../store/restarts.ts";
import { insertRun } from "../store/runs.ts";
import { insertStepRuns } from "../store/step-runs.ts";
import { checkBytesRemain, checkVersionsRemain } from "./check-taken-over.ts";
import { concurrencyOf, oncePerKey, requireSource, type Submitter } from "./create-run.ts";
import { announce, enterGroup, type WrittenRun } from "./enter-group.ts";
import { requirePossible } from "./waiting.ts";

/**
 * Makes a run of the same pipeline version, parameters and source as another that has ended. Step runs that succeeded
 * there are taken over with the versions that they made; with `from`, not that step nor what needs it.
 */
export async function restartRun(
  services: Pick<Services, "database" | "blobs" | "wakeups">,
  submitter: Submitter,
  original: string,
  {
    from,
    requestKey = null,
    failIfImpossible,
  }: { [K in keyof RestartRunRequest]: RestartRunRequest[K] | null | undefined },
): Promise<string> {
  const { database } = services;
  const { project } = submitter;
  return oncePerKey(database, project, requestKey, async () => {
    const look = (db: Queryable) => lookAtRun(db, { project, original, from: from ?? null });
    const { run, plan, ended } = await look(database.pool);
    await checkBytesRemain(services, { project, run, plan }, ended.filter(hasSucceeded));
    // Once more in one transaction, so that what is taken over cannot go away between the look and the reference to it.
    const entered = await database.transaction(async (client) => {
      const looked = await look(client);
      const concurrency = concurrencyOf(looked.plan, looked.run.params);
      const isRepeat = from != null;
      const restart = { original, ...looked, requestKey, failIfImpossible, isRepeat, concurrency };
      return enterGroup(client, project, concurrency, () => writeRestart(client, submitter, restart));
    });
    announce(services, entered);
    return entered.id;
  });
}

/** What can be taken over of a run; refuses a restart that cannot be. */
async function lookAtRun(
  db: Queryable,
  { project, original, from }: { readonly project: string; readonly original: string; readonly from: string | null },
): Promise<Pick<Restart, "run" | "plan" | "ended">> {
  const run = await originalRun(db, project, original);
  const plan = (await findVersion(db, project, run.pipeline, run.pipelineVersion))!.plan;
  checkRestart(run, plan, from);
  if (run.source !== null) await requireSource(db, project, run.source);
  // What runs after the others runs after these, too.
  const late = plan.steps.filter(({ phase }) => phase !== "main");
  const all = await endedStepRuns(db, original);
  const again = new Set([
    ...(from === null ? [] : stepsFrom(plan, from)),
    ...late.map(({ name }) => name),
    ...readersOfUnfinished(plan, all),
  ]);
  const ended = all.filter(({ step }) => !again.has(step));
  await checkVersionsRemain(db, run, plan, ended.filter(hasSucceeded));
  return { run, plan, ended };
}

function checkRestart(run: OriginalRun, plan: Plan, from: string | null): void {
  const name = `${run.pipeline}#${run.number}`;
  if (from !== null && !plan.steps.some((step) => step.name === from)) {
    const steps = plan.steps.map((step) => step.name);
    const message = `${name} has no step "${from}"${didYouMean(from, steps)}`;
    throw new BerthError("invalid_params", `${message}.`, { problems: [{ path: "from", message }] });
  }
  if (!isTerminal(RUN_TRANSITIONS, run.state)) {
    throw new BerthError("conflict", `${name} is ${run.state}: only a run that has ended can be restarted.`, {
      advice: `Wait for its end (berth logs ${name} -f), or cancel it: berth cancel ${name}`,
    });
  }
  if (run.state === "succeeded" && from === null) {
    throw new BerthError("conflict", `${name} succeeded: there is nothing to run again.`, {
      advice: `Name the step from which on everything is to run again: berth restart ${name} --from ${plan.steps[0]!.name}`,
    });
  }
}

/** Steps that read what was there of a step that had not wholly succeeded: now there may be more. */
function readersOfUnfinished(plan: Plan, all: readonly EndedStepRun[]): string[] {
  const unfinished = new Set(all.filter((stepRun) => !hasSucceeded(stepRun)).map(({ step }) => step));
  return [...unfinished].flatMap((step) => [...stepsFrom(plan, step)].filter((name) => name !== step));
}

interface Restart {
  readonly original: string;
  readonly run: OriginalRun;
  readonly plan: Plan;
  /** The step runs of the original, but for those of steps that run again in any case. */
  readonly ended: readonly EndedStepRun[];
  readonly requestKey: string | null;
  readonly failIfImpossible: boolean | null | undefined;
  /** What was asked to run again is not taken from the run that it repeats. */
  readonly isRepeat: boolean;
  readonly concurrency: Concurrency | null;
}

async function writeRestart(client: Queryable, { project, by }: Submitter, restart: Restart): Promise<WrittenRun> {
  const { original, run, plan, ended, requestKey, isRepeat, concurrency } = restart;
  const id = newId("run");
  const known = new Map(ended.map((stepRun) => [stepRun.key, stepRun]));
  const initial = initialStepRuns(plan).map((spec) => continued(spec, known.get(spec.key)));
  const { pool, labels, backend } = run;
  const wanted = { pool, labels, backend, needs: runNeeds({ steps: plan.steps.filter(hasWorkLeft(initial)) }) };
  if (restart.failIfImpossible) await requirePossible(client, project, wanted);
  const { number } = await takeRunNumber(client, project, run.pipeline);
  const { pipelineId, pipelineVersion, params, source, priority } = run;
  await insertRun(client, {
    ...{ id, project, by, number, requestKey, restartOf: original, concurrency },
    ...{ timeoutMs: plan.timeoutMs, queueTimeoutMs: plan.queueTimeoutMs },
    noCache: run.noCache || isRepeat,
    ...{ pipelineId, pipelineVersion, params, source, priority, ...wanted },
  });
  const items = ended.filter(({ parent }) => parent !== null && known.get(parent)!.items !== null);
  await insertStepRuns(client, { id, project }, [...initial, ...items.map((item) => continued(item, item))]);
  const committer = { project, run: id, pipelineId, worker: "" };
  await artifactsInRun(client, committer, await artifactsOf(client, partlyTaken(ended)));
  await appendServerEvents(client, { id, project }, [{ type: "run.created", by }]);
  return { id, name: `${run.pipeline}#${number}` };
}

/** The step run of the restart: as it ended, where it succeeded; a batch that was split stays so; else from the start. */
function continued(
  { key, step, position, matrix, item, parent }: Parameters<typeof insertStepRuns>[2][number],
  ended: EndedStepRun | undefined,
): Parameters<typeof insertStepRuns>[2][number] {
  const identity = { key, step, position, matrix, item, parent };
  if (ended === undefined) return identity;
  return hasSucceeded(ended) ? { ...ended } : { ...identity, items: ended.items };
}

/** What was taken over asks nothing of the worker any more. */
function hasWorkLeft(stepRuns: readonly Parameters<typeof insertStepRuns>[2][number][]): (step: StepPlan) => boolean {
  const left = new Set(stepRuns.filter(({ state }) => state !== "succeeded").map(({ step }) => step));
  return ({ name }) => left.has(name);
}

function hasSucceeded({ state }: EndedStepRun): boolean {
  return state === "succeeded";
}

/**
 * The taken over step runs of steps of which others run again. Their artifacts get a version of the new run at once, that
 * has both: the old items from the beginning, the new ones as they are made.
 */
function partlyTaken(ended: readonly EndedStepRun[]): readonly EndedStepRun[] {
  const open = new Set(ended.filter((stepRun) => !hasSucceeded(stepRun)).map(({ step }) => step));
  return ended.filter((stepRun) => open.has(stepRun.step) && hasSucceeded(stepRun));
}
