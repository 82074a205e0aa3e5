import { z } from "zod";
import { USAGE_REPORTS_MAX, UsageReport } from "./attempt-usage.ts";
import { METRICS_MAX, MetricName } from "./step-message.ts";

/** What agents tell the server of what steps say, and what the API shows of it. */

/** Most of each in one request. */
export const MESSAGES_PER_REQUEST = 1_000;

const StepRunKey = z.string().min(1).max(600);
const AttemptNumber = z.int().min(1).max(10_000);
const Time = z.iso.datetime();

/** The newest progress of an attempt. */
export const Progress = z.object({
  /** How much is done, in the step's own units; null where it only said something. */
  done: z.number().nullable(),
  total: z.number().nullable(),
  message: z.string().nullable(),
  at: Time,
});
export type Progress = z.infer<typeof Progress>;

export const ProgressReport = Progress.extend({
  stepRun: StepRunKey,
  attempt: AttemptNumber,
  /** Of its line within the step's file: what is further on is newer. */
  position: z.int().nonnegative(),
});
export type ProgressReport = z.infer<typeof ProgressReport>;

export const MetricReport = z.object({
  stepRun: StepRunKey,
  attempt: AttemptNumber,
  /** Counts the metrics of the attempt, in the order of its file: what makes a repetition known. */
  n: z
    .int()
    .min(0)
    .max(METRICS_MAX - 1),
  name: MetricName,
  value: z.number(),
  step: z.number().nullable(),
  at: Time,
});
export type MetricReport = z.infer<typeof MetricReport>;

/**
 * `POST /agent/runs/:run/messages`. Sending it twice changes nothing: of progress the furthest stays, and a metric is
 * stored once. So an agent keeps no note of what it sent, and reads a step's file again from its beginning after a restart.
 */
export const MessagesRequest = z.object({
  epoch: z.int().min(1),
  progress: z.array(ProgressReport).max(MESSAGES_PER_REQUEST),
  metrics: z.array(MetricReport).max(MESSAGES_PER_REQUEST),
  /** What they use; see UsageReport. Left out for nothing. */
  usage: z.array(UsageReport).max(USAGE_REPORTS_MAX).optional(),
});
export type MessagesRequest = z.infer<typeof MessagesRequest>;
export const MessagesResponse = z.object({
  /** Metrics that were new. */
  accepted: z.int(),
});
export type MessagesResponse = z.infer<typeof MessagesResponse>;

/** One value of a metric. */
export const MetricPoint = MetricReport;
export type MetricPoint = MetricReport;

/** All values of one metric of an attempt, in short. */
export const MetricSummary = z.object({
  stepRun: StepRunKey,
  attempt: AttemptNumber,
  name: MetricName,
  /** The newest value, with the step's own count and the time that go with it. */
  value: z.number(),
  step: z.number().nullable(),
  at: Time,
  count: z.int(),
  min: z.number(),
  max: z.number(),
});
export type MetricSummary = z.infer<typeof MetricSummary>;

/**
 * What a run's event stream carries beside its events, for those who watch: without an id, since it is not kept, and
 * nothing follows from having missed it.
 */
export const LiveMessage = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("attempt.progress"),
    stepRun: StepRunKey,
    attempt: AttemptNumber,
    progress: Progress,
  }),
  z.object({ type: z.literal("attempt.metric"), metric: MetricSummary }),
]);
export type LiveMessage = z.infer<typeof LiveMessage>;
