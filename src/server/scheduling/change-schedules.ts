import { nextTimes } from "../../pipeline/cron.ts";
import { BerthError } from "../../protocol/errors.ts";
import { newId } from "../../protocol/ids.ts";
import type { SourceRef } from "../../protocol/plan.ts";
import type { AppliedSchedules, ApplySchedulesRequest, ScheduleDefinition } from "../../protocol/schedules.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import type { Database, Queryable } from "../store/database.ts";
import { firingsSkipped, insertManualFiring, waitingFirings } from "../store/firings.ts";
import { ensureVersion, takePipeline } from "../store/pipelines.ts";
import {
  deleteSchedule,
  type LockedSchedule,
  listSchedules,
  lockSchedule,
  lockSchedules,
  putSchedule,
  setNextAt,
  setPaused,
} from "../store/schedules.ts";
import { compileFile } from "./compile-file.ts";
import { requireSource, type Submitter } from "./create-run.ts";
import { announce } from "./enter-group.ts";
import { createScheduledRun } from "./fire-schedules.ts";

/**
 * Makes the schedules of a pipeline those of its file, at once or not at all: new ones are made, others changed, and what
 * the file has no more is removed. Their runs are of this version and source until the next time. A pause that a person
 * asked for stays.
 */
export async function applySchedules(
  database: Database,
  { project, by }: Submitter,
  { pipeline: text, fileName, source = null }: ApplySchedulesRequest,
): Promise<AppliedSchedules> {
  const { plan, schedules } = compileFile(text, fileName);
  return database.transaction(async (client) => {
    if (source !== null) await requireSource(client, project, source);
    // Schedules before their pipeline, as whoever makes a run of one does.
    const before = new Map((await lockSchedules(client, project, plan.name)).map((known) => [known.name, known]));
    const { id: pipelineId, latestVersion, now } = await takePipeline(client, project, plan.name);
    const pipelineVersion = await ensureVersion(
      client,
      { id: pipelineId, latestVersion },
      { project, source: text, plan, by },
    );
    const changes = new Map<string, AppliedSchedules["schedules"][number]["change"]>();
    for (const definition of schedules) {
      const known = before.get(definition.name);
      before.delete(definition.name);
      const change = known === undefined ? "created" : changeOf(known, { ...definition, pipelineVersion, source });
      changes.set(definition.name, change);
      if (change === "unchanged") continue;
      const id = known?.id ?? newId("schedule");
      const nextMs = nextAfterChange(known, definition, now);
      await putSchedule(client, { ...definition, id, project, pipelineId, pipelineVersion, source, nextMs, by });
      if (!definition.enabled) await dropWaiting(client, id);
    }
    for (const { id } of before.values()) await deleteSchedule(client, id);
    const all = { pipeline: plan.name, name: null, state: null, after: null, limit: schedules.length };
    const byName = new Map((await listSchedules(client, project, all)).map((made) => [made.name, made]));
    const audited = { pipelineVersion, schedules: Object.fromEntries(changes), removed: [...before.keys()] };
    await recordAudit(client, { project, action: "schedule.apply", subject: plan.name, details: audited });
    return {
      pipeline: plan.name,
      pipelineVersion,
      schedules: [...changes].map(([name, change]) => ({ change, schedule: byName.get(name)! })),
      removed: [...before.keys()],
    };
  });
}

type Applied = ScheduleDefinition & { readonly pipelineVersion: number; readonly source: SourceRef | null };

function changeOf(known: LockedSchedule, applied: Applied): "changed" | "unchanged" {
  const facts = ({ cron, timezone, overlap, catchUp, params, enabled, pipelineVersion, source }: Applied) =>
    JSON.stringify([cron, timezone, overlap, catchUp, Object.entries(params), enabled, pipelineVersion, source]);
  return facts(known) === facts(applied) ? "unchanged" : "changed";
}

/** What is due at the same times as before keeps the one that is next: it may be overdue. */
function nextAfterChange(known: LockedSchedule | undefined, definition: ScheduleDefinition, now: Date): number | null {
  if (!definition.enabled || known?.paused) return null;
  const sameTimes = known?.enabled && known.cron === definition.cron && known.timezone === definition.timezone;
  if (sameTimes && known.nextAt !== null) return known.nextAt.getTime();
  return nextTimes(definition, now.getTime(), 1)[0] ?? null;
}

export interface ScheduleRef {
  readonly pipeline: string;
  readonly name: string;
}

/** Nothing of it is due, and what waited does not start; runs that go on are not touched. */
export async function pauseSchedule(
  database: Database,
  { project, by }: Submitter,
  ref: ScheduleRef,
  reason: string | null,
): Promise<void> {
  await database.transaction(async (client) => {
    const { id } = await lockedOrNotFound(client, project, ref);
    await setPaused(client, id, { by, reason });
    await setNextAt(client, id, null);
    await dropWaiting(client, id);
    await recordAudit(client, { project, action: "schedule.pause", subject: nameOf(ref), details: { reason } });
  });
}

/** It is due from now on; what passed while it was paused is not caught up. */
export async function resumeSchedule(database: Database, project: string, ref: ScheduleRef): Promise<void> {
  await database.transaction(async (client) => {
    const schedule = await lockedOrNotFound(client, project, ref);
    if (!schedule.enabled) {
      throw new BerthError("conflict", `The schedule ${nameOf(ref)} is disabled by its file.`, {
        advice: "Take `enabled: false` out of the file, and apply it again.",
      });
    }
    await recordAudit(client, { project, action: "schedule.resume", subject: nameOf(ref) });
    if (!schedule.paused) return;
    await setPaused(client, schedule.id, null);
    await setNextAt(client, schedule.id, nextTimes(schedule, schedule.now.getTime(), 1)[0] ?? null);
  });
}

/** A run of it at once, whatever else runs or is paused; returns its id. */
export async function runSchedule(
  services: Pick<Services, "database" | "wakeups">,
  { project, by }: Submitter,
  ref: ScheduleRef,
): Promise<string> {
  const entered = await services.database.transaction(async (client) => {
    const schedule = await lockedOrNotFound(client, project, ref);
    const made = await createScheduledRun(client, schedule, { dueMs: null, by });
    await insertManualFiring(client, { schedule: schedule.id, project, by, run: made.id });
    await recordAudit(client, { project, action: "schedule.run", subject: nameOf(ref), details: { run: made.id } });
    return made;
  });
  announce(services, entered);
  return entered.id;
}

export async function removeSchedule(database: Database, project: string, ref: ScheduleRef): Promise<void> {
  await database.transaction(async (client) => {
    await deleteSchedule(client, (await lockedOrNotFound(client, project, ref)).id);
    await recordAudit(client, { project, action: "schedule.remove", subject: nameOf(ref) });
  });
}

function nameOf({ pipeline, name }: ScheduleRef): string {
  return `${pipeline}/${name}`;
}

async function dropWaiting(client: Queryable, id: string): Promise<void> {
  await firingsSkipped(client, id, await waitingFirings(client, id), "paused", "The schedule was stopped meanwhile.");
}

async function lockedOrNotFound(client: Queryable, project: string, ref: ScheduleRef): Promise<LockedSchedule> {
  return (await lockSchedule(client, project, ref)) ?? noSchedule(ref);
}

export function noSchedule(ref: ScheduleRef): never {
  throw new BerthError("not_found", `There is no schedule ${nameOf(ref)}.`, {
    advice: "`berth schedules` lists them; `berth schedules apply FILE` makes those of a pipeline file.",
  });
}
