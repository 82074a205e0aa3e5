import { z } from "zod";
import { idOf } from "./ids.ts";
import { Name } from "./names.ts";
import { Params, SourceRef } from "./plan.ts";
import { RunState } from "./states.ts";

/** What a pipeline is run by at set times, and what became of each of them. */

const Time = z.iso.datetime();

/** What happens to a due time while a run of the schedule has not ended. */
export const Overlap = z.enum(["skip", "queue", "cancel_older", "allow"]);
export type Overlap = z.infer<typeof Overlap>;

/** What happens to due times that no server was up for. */
export const CatchUp = z.enum(["none", "last", "all"]);
export type CatchUp = z.infer<typeof CatchUp>;

/** A schedule as a pipeline file says it, defaults filled in. */
export const ScheduleDefinition = z.object({
  name: Name,
  cron: z.string(),
  timezone: z.string(),
  overlap: Overlap,
  catchUp: CatchUp,
  /** Only what is given; defaults are those of the pipeline version. */
  params: Params,
  enabled: z.boolean(),
});
export type ScheduleDefinition = z.infer<typeof ScheduleDefinition>;

/** Why a due time made no run. */
export const SkipReason = z.enum([
  /** nobody was there to see it, and catchUp does not ask for it */
  "missed",
  /** a run of the schedule had not ended */
  "overlap",
  /** a newer due time took its place before it could start */
  "superseded",
  /** more were waiting than are kept */
  "queue-full",
  /** the schedule was paused or taken out while it waited */
  "paused",
  /** the run could not be made; `message` says why */
  "refused",
]);
export type SkipReason = z.infer<typeof SkipReason>;

/** A due time of a schedule, and what became of it. */
export const Firing = z.object({
  dueAt: Time,
  /** Set where one entry stands for all due times from `dueAt` to this one. */
  untilAt: Time.nullable(),
  /** `waiting`: for a run of the same schedule to end. */
  state: z.enum(["waiting", "started", "skipped"]),
  reason: SkipReason.nullable(),
  message: z.string().nullable(),
  /** Who asked for it; null where it was due. */
  by: z.string().nullable(),
  run: z.object({ id: idOf("run"), number: z.int(), state: RunState }).nullable(),
});
export type Firing = z.infer<typeof Firing>;

export const ScheduleState = z.enum(["active", "paused", "disabled"]);
export type ScheduleState = z.infer<typeof ScheduleState>;

export const Schedule = ScheduleDefinition.omit({ enabled: true }).extend({
  id: idOf("schedule"),
  pipeline: Name,
  /** What its runs are of: the version and source that were applied. */
  pipelineVersion: z.int(),
  source: SourceRef.nullable(),
  /** `paused` by a person, `disabled` by the file. */
  state: ScheduleState,
  paused: z.object({ at: Time, by: z.string(), reason: z.string().nullable() }).nullable(),
  /** Null unless it is active. */
  nextAt: Time.nullable(),
  lastFiring: Firing.nullable(),
  changedBy: z.string(),
  changedAt: Time,
});
export type Schedule = z.infer<typeof Schedule>;

export const ScheduleDetail = Schedule.extend({
  /** The next due times; none unless it is active. */
  next: z.array(Time),
  /** The newest first. */
  firings: z.array(Firing),
});
export type ScheduleDetail = z.infer<typeof ScheduleDetail>;

/** `POST /schedules/apply`: the schedules of the pipeline become those of the file. */
export const ApplySchedulesRequest = z.strictObject({
  pipeline: z.string(),
  fileName: z.string().max(500).optional(),
  source: SourceRef.nullable().optional(),
});
export type ApplySchedulesRequest = z.infer<typeof ApplySchedulesRequest>;

export const AppliedSchedules = z.object({
  pipeline: Name,
  pipelineVersion: z.int(),
  /** In the order of the file. */
  schedules: z.array(z.object({ change: z.enum(["created", "changed", "unchanged"]), schedule: Schedule })),
  /** Names of those that the file has no more. */
  removed: z.array(Name),
});
export type AppliedSchedules = z.infer<typeof AppliedSchedules>;

export const PauseRequest = z.strictObject({ reason: z.string().max(1000).nullable().optional() });
