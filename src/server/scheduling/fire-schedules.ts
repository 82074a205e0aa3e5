import { BerthError } from "../../protocol/errors.ts";
import type { CreateRunRequest } from "../../protocol/resources.ts";
import type { Services } from "../services.ts";
import type { Queryable } from "../store/database.ts";
import {
  activeRunsOf,
  firingStarted,
  firingsSkipped,
  forgetOldFirings,
  insertFiring,
  waitingFirings,
} from "../store/firings.ts";
import { lockPipeline } from "../store/pipelines.ts";
import { type LockedSchedule, schedulesWithWork, setNextAt, tryLockSchedule } from "../store/schedules.ts";
import { cancelUnlessEnded } from "./cancel.ts";
import { createRunWithin, lockGroupFor, type Submitter } from "./create-run.ts";
import { dueTimes } from "./due-times.ts";
import { announce, type Entered } from "./enter-group.ts";
import { decideOverlap, QUEUE_MAX, type Verdict } from "./overlap.ts";
import { passPlacesOn } from "./places.ts";

/** In one pass, those that are due longest first. */
const PER_PASS = 200;

/** What others have to hear of. */
interface Changes {
  readonly started: Entered[];
  readonly cancelled: { readonly run: string; readonly worker: string | null }[];
}

/**
 * Makes the runs that are due. Only the database's clock counts. Every schedule has a transaction of its own, under the
 * lock of its row: a replica that finds it locked leaves it to the other, so that each due time makes one run. Answers
 * whether there may be more to do at once.
 */
export async function fireSchedules({
  database,
  wakeups,
  log,
}: Pick<Services, "database" | "wakeups" | "log">): Promise<boolean> {
  const due = await schedulesWithWork(database.pool, PER_PASS);
  for (const id of due) {
    try {
      const changes: Changes = await database.transaction((client) => fireSchedule(client, id));
      for (const entered of changes.started) announce({ wakeups }, entered);
      for (const { run, worker } of changes.cancelled) {
        wakeups.notify(`run:${run}`);
        if (worker !== null) wakeups.notify(`worker:${worker}`);
      }
      const ended = changes.cancelled.map(({ run }) => run);
      await passPlacesOn({ database, wakeups, log }, ended);
    } catch (error) {
      // The others are not to wait for this one.
      log.warn({ err: error, schedule: id }, "a schedule could not be looked at; it is tried again");
    }
  }
  return due.length === PER_PASS;
}

async function fireSchedule(client: Queryable, id: string): Promise<Changes> {
  const changes: Changes = { started: [], cancelled: [] };
  const schedule = await tryLockSchedule(client, id);
  if (schedule === null) return changes;
  await noteDueTimes(client, schedule);
  const waiting = await waitingFirings(client, id);
  if (schedule.overlap === "cancel_older" && waiting.length > 0) await cancelOlder(client, schedule, changes);
  const active = await activeRunsOf(client, id);
  const verdicts = decideOverlap(schedule.overlap, waiting.length, active.length);
  for (const [index, dueMs] of waiting.entries()) {
    if (verdicts[index] === "start") changes.started.push(...(await start(client, schedule, dueMs)));
  }
  const { pipeline } = schedule;
  const running = active.map(({ number }) => `${pipeline}#${number}`).join(", ");
  for (const [reason, message] of Object.entries(MESSAGES)) {
    const skipped = waiting.filter((_, index) => verdicts[index] === reason);
    await firingsSkipped(client, id, skipped, reason as keyof typeof MESSAGES, message(running));
  }
  await forgetOldFirings(client, id);
  return changes;
}

const MESSAGES: Readonly<Record<Exclude<Verdict, "start" | "wait">, (running: string) => string>> = {
  overlap: (running) => (running === "" ? "An earlier due time was caught up." : `${running} had not ended.`),
  superseded: () => "A newer due time took its place.",
  "queue-full": () => `${QUEUE_MAX} due times were waiting already.`,
};

/** Writes down what was due, once for all replicas. */
async function noteDueTimes(client: Queryable, schedule: LockedSchedule): Promise<void> {
  const { id, project, nextAt, now } = schedule;
  if (nextAt === null || nextAt > now) return;
  const { missed, due, next } = dueTimes(schedule, nextAt.getTime(), now.getTime());
  const firing = { schedule: id, project };
  if (missed !== null) {
    const { from, until } = missed;
    await insertFiring(client, {
      ...firing,
      ...{ dueMs: from, untilMs: until === from ? null : until, state: "skipped", reason: "missed" },
    });
  }
  for (const dueMs of due) await insertFiring(client, { ...firing, dueMs, state: "waiting" });
  await setNextAt(client, id, next);
}

async function cancelOlder(client: Queryable, schedule: LockedSchedule, changes: Changes): Promise<void> {
  const name = `${schedule.pipeline}/${schedule.name}`;
  const facts = { by: `schedule ${name}`, reason: "It was due again.", code: "cancelled" } as const;
  await lockGroupFor(client, { project: schedule.project, by: facts.by }, requestOf(schedule));
  await lockPipeline(client, schedule.project, schedule.pipeline);
  for (const { id: run, state } of await activeRunsOf(client, schedule.id)) {
    if (state === "cancelling") continue;
    const cancelled = await cancelUnlessEnded(client, { project: schedule.project, run, facts });
    if (cancelled !== null) changes.cancelled.push({ run, worker: cancelled.worker });
  }
}

/** The run that was made. What cannot be made is written down, and does not keep the next due time from coming. */
async function start(client: Queryable, schedule: LockedSchedule, dueMs: number): Promise<Entered[]> {
  try {
    const entered = await createScheduledRun(client, schedule, { dueMs, by: null });
    await firingStarted(client, schedule.id, dueMs, entered.id);
    return [entered];
  } catch (error) {
    if (!(error instanceof BerthError)) throw error;
    await firingsSkipped(client, schedule.id, [dueMs], "refused", error.words);
    return [];
  }
}

/** A run of what the schedule was applied with; `by` is who did not wait for its time. */
export async function createScheduledRun(
  client: Queryable,
  schedule: LockedSchedule,
  { dueMs, by }: { readonly dueMs: number | null; readonly by: string | null },
): Promise<Entered> {
  const { id, project, pipeline } = schedule;
  const name = `${pipeline}/${schedule.name}`;
  const dueAt = dueMs === null ? null : new Date(dueMs).toISOString();
  const submitter: Submitter = {
    ...{ project, by: by ?? `schedule ${name}`, schedule: id },
    startedBy: { kind: "schedule", name, dueAt, by } as const,
  };
  return createRunWithin(client, submitter, requestOf(schedule));
}

function requestOf({ pipeline, pipelineVersion, params, source }: LockedSchedule): CreateRunRequest {
  return { pipeline: { name: pipeline, version: pipelineVersion }, params, source };
}
