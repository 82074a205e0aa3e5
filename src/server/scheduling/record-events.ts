import { batchItems } from "../../pipeline/step-runs.ts";
import type { CancelFacts } from "../../protocol/cancel.ts";
import { BerthError } from "../../protocol/errors.ts";
import type { AgentEvent, AgentEventBody } from "../../protocol/events.ts";
import { isTerminal, RUN_TRANSITIONS } from "../../protocol/states.ts";
import type { Services } from "../services.ts";
import { type ArtifactName, artifactKey } from "../store/artifact-commit.ts";
import { endAttempts, insertAttempts } from "../store/attempts.ts";
import { takeFromCache } from "../store/cache.ts";
import type { Queryable } from "../store/database.ts";
import { insertEvents } from "../store/events.ts";
import {
  endLease,
  type LeasedRun,
  type LeaseHolder,
  lockLeasedRun,
  requireLease,
  staleEpoch,
} from "../store/leases.ts";
import { fixImages } from "../store/run-images.ts";
import { advanceRun } from "../store/runs.ts";
import {
  insertStepRuns,
  itemsNotSucceeded,
  loadStepRuns,
  unsuccessfulStepRuns,
  updateStepRuns,
} from "../store/step-runs.ts";
import { applyEvents, type Changes } from "./apply-events.ts";
import { closeRun } from "./close-run.ts";
import { type CommitMaterial, commitOutputs, gatherMaterial } from "./commit-outputs.ts";
import type { ContractCache, StepContracts } from "./step-contracts.ts";

export interface Recorded {
  readonly ackedSeq: number;
  readonly cancel: CancelFacts | null;
  /** Whether the run ended with these events: its slot is free. */
  readonly ended: boolean;
}

/**
 * Takes a batch of an agent's events in one transaction: all of what is new in it, or nothing. Each kind of change is
 * one statement over the whole batch, because a step of no length costs its agent little more than this.
 */
export async function recordEvents(
  { database, blobs }: Pick<Services, "database" | "blobs">,
  contracts: ContractCache,
  holder: LeaseHolder,
  events: readonly AgentEvent[],
): Promise<Recorded> {
  if (events.some(({ body }) => hasFolder(body))) await requireLease(database.pool, holder);
  const material = await gatherMaterial(blobs, holder.project, events);
  return database.transaction(async (client) => {
    const run = await lockLeasedRun(client, holder);
    const fresh = newEvents(run, events);
    if (fresh.length === 0) return answer(run, run.agentSeq, false);
    if (isTerminal(RUN_TRANSITIONS, run.state)) throw staleEpoch(holder);
    const stepContracts = await contracts.get(client, run.pipelineId, run.pipelineVersion);
    const changes = applyEvents({
      runState: run.state,
      contracts: stepContracts,
      stepRuns: await loadStepRuns(client, run.id, stepRunsOf(fresh)),
      events: fresh,
      batchItems: (parent, count) => batchItems({ ...parent, isBatch: true }, count),
      time: believableTime(run),
    });
    await writeChanges(client, run, holder, stepContracts, changes, material);
    await insertEvents(
      client,
      { id: run.id, project: holder.project, lastSeq: run.streamSeq },
      fresh.map(({ at, body }) => ({ at: believableTime(run)(at), body: withoutBytes(body) })),
    );
    const agentSeq = run.agentSeq + fresh.length;
    await advanceRun(client, run.id, { agentSeq, streamSeq: run.streamSeq + fresh.length, end: changes.runEnd });
    return answer(run, agentSeq, changes.runEnd !== null);
  });
}

function answer(run: LeasedRun, ackedSeq: number, ended: boolean): Recorded {
  return { ackedSeq, cancel: ended ? null : run.cancel, ended };
}

function hasFolder(body: AgentEventBody): boolean {
  return body.type === "attempt.finished" && body.outputs.some(({ content }) => content.kind === "folder");
}

/** The events that were not applied yet, which have to follow on without a hole. */
function newEvents(run: LeasedRun, events: readonly AgentEvent[]): readonly AgentEvent[] {
  const fresh = events.filter(({ seq }) => seq > run.agentSeq);
  const hole = fresh.findIndex(({ seq }, index) => seq !== run.agentSeq + 1 + index);
  if (hole < 0) return fresh;
  const expected = run.agentSeq + 1 + hole;
  throw new BerthError("sequence_gap", `Event ${expected} was expected here, not ${fresh[hole]!.seq}.`, {
    advice: `Send the events from ${run.agentSeq + 1} on, in order.`,
    details: { expected: run.agentSeq + 1 },
  });
}

function stepRunsOf(events: readonly AgentEvent[]): string[] {
  return [...new Set(events.flatMap(({ body }) => ("stepRun" in body ? [body.stepRun] : [])))];
}

/** An agent's clock tells how long things took, but only between the grant of its lease and now. */
function believableTime({ grantedAt, now }: LeasedRun): (at: string) => string {
  return (at) => new Date(Math.min(Math.max(Date.parse(at), grantedAt.getTime()), now.getTime())).toISOString();
}

/** What clients follow names blobs by digest. */
function withoutBytes(body: AgentEventBody): AgentEventBody {
  if (body.type !== "attempt.finished") return body;
  // A schema may be long, and is found with its version.
  return { ...body, outputs: body.outputs.map(({ name, content, tags, format }) => ({ name, content, tags, format })) };
}

async function writeChanges(
  client: Queryable,
  run: LeasedRun,
  holder: LeaseHolder,
  contracts: StepContracts,
  changes: Changes,
  material: CommitMaterial,
): Promise<void> {
  const { project } = holder;
  await fixImages(client, run.id, changes.images);
  await insertStepRuns(client, { id: run.id, project }, changes.newStepRuns);
  expectAll(await updateStepRuns(client, run.id, changes.changedStepRuns), changes.changedStepRuns, "step runs");
  await insertAttempts(client, holder, changes.newAttempts);
  expectAll(await endAttempts(client, run.id, changes.endedAttempts), changes.endedAttempts, "attempts");
  const taken = await takeCachedResults(client, run, holder, changes.cached);
  await commitOutputs(
    client,
    { project, run: run.id, pipelineId: run.pipelineId, worker: holder.worker },
    changes.commits,
    { contracts, material, taken },
  );
  if (changes.closedBatches.length > 0) {
    const open = await itemsNotSucceeded(client, run.id, changes.closedBatches);
    if (open.length > 0) throw tooEarly(`${changes.closedBatches.join(", ")} cannot have succeeded`, open);
  }
  if (changes.runEnd === null) return;
  if (changes.runEnd.state === "succeeded") {
    const mayFail = [...contracts].filter(([, contract]) => contract.mayFail).map(([step]) => step);
    const open = await unsuccessfulStepRuns(client, run.id, mayFail);
    if (open.length > 0) throw tooEarly("The run cannot have succeeded", open);
  }
  await closeRun(client, run.id, changes.runEnd.state);
  await endLease(client, { run: run.id, epoch: run.epoch }, changes.runEnd.state);
}

/** Returns the artifacts of which a version of this run is made, or will be, that these results belong to. */
async function takeCachedResults(
  client: Queryable,
  { id, pipelineId }: LeasedRun,
  { project }: LeaseHolder,
  cached: Changes["cached"],
): Promise<ArtifactName[]> {
  const hits = cached.map(({ stepRun, from }) => ({ stepRun: stepRun.key, from }));
  expectAll(await takeFromCache(client, { id, project, pipelineId }, hits), hits, "results from the cache");
  // Of a step with several step runs, those that run make a version of this run, and these belong to it.
  const names = cached
    .filter(({ stepRun }) => stepRun.item !== null || stepRun.matrix !== null)
    .flatMap(({ stepRun, outputs }) => outputs.map((name) => ({ step: stepRun.step, name })));
  return [...new Map(names.map((name) => [artifactKey(name), name])).values()];
}

function tooEarly(what: string, open: readonly string[]): BerthError {
  return new BerthError("conflict", `${what}: ${open.join(", ")} did not.`, {
    advice: "This is a defect of the agent: nothing of the batch was written.",
    details: { stepRuns: open },
  });
}

/** The run's lock is held, so a row that is not as it was read means that something wrote without the lock. */
function expectAll(changed: number, wanted: readonly unknown[], what: string): void {
  if (changed === wanted.length) return;
  throw new BerthError("internal", `${changed} of ${wanted.length} ${what} were as they had been read.`);
}
