import { z } from "zod";
import { Scalar } from "../protocol/names.ts";
import { CatchUp, Overlap } from "../protocol/schedules.ts";
import { mapping, NameText, record, text } from "./schema-parts.ts";

/** Of one pipeline; whoever needs more can make another parameter of it. */
const SCHEDULES_MAX = 50;
const CRON_MAX_CHARS = 200;
const TIMEZONE_MAX_CHARS = 64;

export const ScheduleSpec = mapping({
  cron: text(CRON_MAX_CHARS).describe('Minute, hour, day, month and weekday, such as "0 3 * * *"; or @daily.'),
  timezone: text(TIMEZONE_MAX_CHARS).optional().describe("Time zone of the expression. Default: UTC."),
  overlap: Overlap.optional().describe(
    "When it is due while its last run goes on. skip (default): not this time. queue: after it. cancel_older: instead of it. allow: beside it.",
  ),
  catchUp: CatchUp.optional().describe(
    "What was due while no server was up. none: nothing. last (default): the newest. all: each of them.",
  ),
  params: record(NameText, Scalar, 200).optional().describe("Parameters of its runs, over the defaults."),
  enabled: z.boolean().optional().describe("false: it is kept and never due. Default: true."),
});
export type ScheduleSpec = z.infer<typeof ScheduleSpec>;

export const SchedulesSpec = record(NameText, z.union([text(CRON_MAX_CHARS), ScheduleSpec]), SCHEDULES_MAX);
