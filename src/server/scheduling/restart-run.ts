import { changedSteps } from "../../pipeline/changed-steps.ts";
import { resolveParams } from "../../pipeline/params.ts";
import { runNeeds } from "../../pipeline/run-need.ts";
import { initialStepRuns } from "../../pipeline/step-runs.ts";
import { stepsFrom } from "../../pipeline/steps-from.ts";
import { didYouMean } from "../../pipeline/suggest.ts";
import { BerthError } from "../../protocol/errors.ts";
import { newId } from "../../protocol/ids.ts";
import type { Concurrency, Plan, SourceRef, StepPlan } from "../../protocol/plan.ts";
import type { RestartRunRequest } from "../../protocol/resources.ts";
import { isTerminal, RUN_TRANSITIONS } from "../../protocol/states.ts";
import type { Services } from "../services.ts";
import { artifactsInRun } from "../store/artifact-commit.ts";
import { recordAudit, systemActor } from "../store/audit.ts";
import type { Queryable } from "../store/database.ts";
import { appendServerEvents } from "../store/events.ts";
import { holdVersions } from "../store/needed-versions.ts";
import { findVersion, takeRunNumber } from "../store/pipelines.ts";
import {
  artifactsOf,
  type EndedStepRun,
  endedStepRuns,
  imagesOf,
  newestSource,
  type OriginalRun,
  originalRun,
} from "../store/restarts.ts";
import { fixImages, type RunImages } from "../store/run-images.ts";
import { insertRun } from "../store/runs.ts";
import { insertStepRuns } from "../store/step-runs.ts";
import { checkBytesRemain, checkVersionsRemain } from "./check-taken-over.ts";
import { concurrencyOf, oncePerKey, requireSource, type Submitter } from "./create-run.ts";
import { announce, enterGroup, type WrittenRun } from "./enter-group.ts";
import { requireSecrets } from "./require-secrets.ts";
import { requirePossible } from "./waiting.ts";

/** Steps that an error lists. */
const STEPS_NAMED = 20;

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
    withLatest,
  }: { [K in keyof RestartRunRequest]: RestartRunRequest[K] | null | undefined },
): Promise<RestartedRun> {
  const { database } = services;
  const { project } = submitter;
  let changed: ReadonlyMap<string, readonly string[]> = new Map();
  const id = await oncePerKey(database, project, requestKey, async () => {
    const wanted = { project, original, from: from ?? null, withLatest: withLatest === true };
    const look = (db: Queryable) => lookAtRun(db, wanted);
    const { run, plan, ended } = await look(database.pool);
    await checkBytesRemain(services, { project, run, plan }, ended.filter(hasSucceeded));
    // Once more in one transaction, so that what is taken over cannot go away between the look and the reference to it.
    const entered = await database.transaction(async (client) => {
      const looked = await look(client);
      changed = looked.changed;
      const concurrency = concurrencyOf(looked.plan, looked.run.params);
      const isRepeat = from != null;
      const restart = { original, ...looked, requestKey, failIfImpossible, isRepeat, concurrency };
      return enterGroup(client, project, concurrency, () => writeRestart(client, submitter, restart));
    });
    announce(services, entered);
    return entered.id;
  });
  return { id, changed };
}

/** What can be taken over of a run; refuses a restart that cannot be. */
async function lookAtRun(
  db: Queryable,
  { project, original, from, withLatest }: Wanted,
): Promise<Pick<Restart, "run" | "plan" | "ended" | "images"> & Pick<RestartedRun, "changed">> {
  const before = await originalRun(db, project, original);
  const made = (await findVersion(db, project, before.pipeline, before.pipelineVersion))!.plan;
  const { run, plan, changed } = withLatest
    ? await byLatest(db, project, before, made)
    : { run: before, plan: made, changed: new Map<string, string[]>() };
  checkRestart(run, plan, { from, withLatest, hasChanged: changed.size > 0 });
  await requireSecrets(db, project, plan);
  const images = withLatest ? {} : await imagesOf(db, original);
  if (run.source !== null) await requireSourceAgain(db, project, run, run.source);
  // What runs after the others runs after these, too.
  const late = plan.steps.filter(({ phase }) => phase !== "main");
  const all = await endedStepRuns(db, original);
  const again = new Set([
    ...(from === null ? [] : stepsFrom(plan, from)),
    ...late.map(({ name }) => name),
    ...readersOfUnfinished(plan, all),
    ...changed.keys(),
  ]);
  const steps = new Set(plan.steps.map(({ name }) => name));
  const ended = all.filter(({ step }) => steps.has(step) && !again.has(step));
  const taken = ended.filter(hasSucceeded);
  await holdVersions(
    db,
    taken.map(({ takenFrom, key }) => ({ run: takenFrom, key })),
  );
  await checkVersionsRemain(db, run, plan, taken);
  return { run, plan, ended, images, changed };
}

/** What was submitted with a run stays for as long as what it made, or as its project keeps artifacts. */
async function requireSourceAgain(db: Queryable, project: string, run: OriginalRun, source: SourceRef): Promise<void> {
  try {
    await requireSource(db, project, source);
  } catch (error) {
    if (!(error instanceof BerthError && error.code === "missing_blobs")) throw error;
    throw new BerthError("gone", `The source of ${run.pipeline}#${run.number} is not in the store any more.`, {
      advice: "It expired with what the run made: run the pipeline anew.",
      cause: error,
    });
  }
}

/** The run as it is made by what there is of its pipeline now. */
async function byLatest(db: Queryable, project: string, before: OriginalRun, made: Plan) {
  const latest = (await findVersion(db, project, before.pipeline, null))!;
  const resolved = resolveParams(latest.plan, before.params);
  if (!resolved.ok) {
    throw new BerthError("invalid_params", "The parameters do not fit the newest version of the pipeline.", {
      advice: "Restart without --with-latest, or run the pipeline anew.",
      problems: resolved.problems,
    });
  }
  const newest = await newestSource(db, before.pipelineId, latest.version);
  const { params } = resolved;
  const run = {
    ...before,
    pipelineVersion: latest.version,
    params,
    source: newest === undefined ? before.source : newest,
  };
  const changed = changedSteps({ ...before, plan: made }, { ...run, plan: latest.plan });
  return { run, plan: latest.plan, changed };
}

function checkRestart(
  run: OriginalRun,
  plan: Plan,
  { from, withLatest, hasChanged }: Pick<Wanted, "from" | "withLatest"> & { readonly hasChanged: boolean },
): void {
  const name = `${run.pipeline}#${run.number}`;
  if (from !== null && !plan.steps.some((step) => step.name === from)) {
    const steps = plan.steps.map((step) => step.name);
    const hint = didYouMean(from, steps);
    const named = steps.length > STEPS_NAMED ? [...steps.slice(0, STEPS_NAMED), "…"] : steps;
    throw new BerthError("invalid_params", `${name} has no step "${from}"${hint === "" ? "." : hint}`, {
      problems: [{ path: "from", message: `its steps are ${named.join(", ")}` }],
    });
  }
  if (!isTerminal(RUN_TRANSITIONS, run.state)) {
    throw new BerthError("conflict", `${name} is ${run.state}: only a run that has ended can be restarted.`, {
      advice: `Wait for its end (berth logs ${name} -f), or cancel it: berth cancel ${name}`,
    });
  }
  if (run.state === "succeeded" && from === null && !hasChanged) {
    const newest = withLatest ? `version ${run.pipelineVersion} is the newest and nothing changed, so ` : "";
    throw new BerthError("conflict", `${name} succeeded: ${newest}there is nothing to run again.`, {
      advice: `Name the step from which on everything is to run again: berth restart ${name} --from ${plan.steps[0]!.name}`,
    });
  }
}

/** Steps that read what was there of a step that had not wholly succeeded: now there may be more. */
function readersOfUnfinished(plan: Plan, all: readonly EndedStepRun[]): string[] {
  const unfinished = new Set(all.filter((stepRun) => !hasSucceeded(stepRun)).map(({ step }) => step));
  return [...unfinished].flatMap((step) => [...stepsFrom(plan, step)].filter((name) => name !== step));
}

interface Wanted {
  readonly project: string;
  readonly original: string;
  readonly from: string | null;
  readonly withLatest: boolean;
}

export interface RestartedRun {
  readonly id: string;
  /** Steps that run again because something changed since, with what; empty for a repeated request. */
  readonly changed: ReadonlyMap<string, readonly string[]>;
}

interface Restart {
  readonly images: RunImages;
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
  const { pipelineId, pipelineVersion, params, variables, source, priority } = run;
  await insertRun(client, {
    ...{ id, project, by, number, requestKey, restartOf: original, concurrency },
    ...{ timeoutMs: plan.timeoutMs, queueTimeoutMs: plan.queueTimeoutMs },
    noCache: run.noCache || isRepeat,
    ...{ pipelineId, pipelineVersion, params, variables, source, priority, ...wanted },
  });
  const items = ended.filter(({ parent }) => parent !== null && known.get(parent)!.items !== null);
  await fixImages(client, id, restart.images);
  await insertStepRuns(client, { id, project }, [...initial, ...items.map((item) => continued(item, item))]);
  const committer = { project, run: id, pipelineId, worker: "" };
  await artifactsInRun(client, committer, await artifactsOf(client, partlyTaken(ended)));
  await appendServerEvents(client, { id, project }, [{ type: "run.created", by }]);
  const name = `${run.pipeline}#${number}`;
  const details = { name, by, original };
  await recordAudit(client, { project, action: "run.restart", subject: id, details, actor: systemActor(by) });
  return { id, name };
}

/** The step run of the restart: as it ended, where it succeeded; a batch that was split stays so; else from the start. */
function continued(
  { key, step, position, matrix, item, parent }: Parameters<typeof insertStepRuns>[2][number],
  ended: EndedStepRun | undefined,
): Parameters<typeof insertStepRuns>[2][number] {
  const identity = { key, step, position, matrix, item, parent };
  if (ended === undefined) return identity;
  return hasSucceeded(ended) ? { ...ended, ...identity } : { ...identity, items: ended.items };
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
