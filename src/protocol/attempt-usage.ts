import { z } from "zod";
import { AttemptState } from "./states.ts";

const Figure = z.number().nonnegative().optional();

/**
 * What an attempt used, from its start to its end. What its platform cannot tell is left out; no figure is ever that of
 * somebody else.
 */
export const Usage = z.object({
  /** CPU time of all its processes, and the parts of it that they spent in their own code and in the kernel. */
  cpuMs: Figure,
  cpuUserMs: Figure,
  cpuSystemMs: Figure,
  /** Most memory that counted against its limit at once: in a container, also what it had of files in the page cache. */
  memoryPeakBytes: Figure,
  /** What it read from disks, and what it wrote that had to reach them; what the page cache answered is not in it. */
  readBytes: Figure,
  writtenBytes: Figure,
  /** By network; only where nobody shared its network meanwhile. */
  receivedBytes: Figure,
  sentBytes: Figure,
  /** What it had written that was on the disk at once, as seen: its outputs, scratch, logs and container's layer. */
  diskBytes: Figure,
  /** Most processes and threads that were seen at once, looking each second or less often. */
  pidsPeak: Figure,
});
export type Usage = z.infer<typeof Usage>;

/** Looks at a running attempt that are kept: enough for a curve as wide as a screen, whatever the attempt takes. */
export const USAGE_SAMPLES_MAX = 120;

/** What one look tells. Counters are those since the attempt began; what is not known then is null. */
export const SAMPLED = [
  ...(["cpuMs", "memoryBytes", "readBytes", "writtenBytes"] as const),
  ...(["receivedBytes", "sentBytes", "pids"] as const),
] as const;
export type Sampled = (typeof SAMPLED)[number];

const Column = z.array(z.number().nonnegative().nullable()).max(USAGE_SAMPLES_MAX);
const Columns = z.object(Object.fromEntries(SAMPLED.map((name) => [name, Column.optional()])) as ColumnShape);
type ColumnShape = { readonly [Name in Sampled]: z.ZodOptional<typeof Column> };

/** What an attempt used over time, figure by figure; one of which nothing is known is left out. */
export const UsageSeries = Columns.extend({
  /** Milliseconds since the attempt began, growing. */
  atMs: z.array(z.int().nonnegative()).max(USAGE_SAMPLES_MAX),
}).refine(
  ({ atMs, ...columns }) =>
    Object.values(columns).every((column) => column === undefined || column.length === atMs.length),
  "each figure has one value for each time",
);
export type UsageSeries = z.infer<typeof UsageSeries>;

/** In one request. */
export const USAGE_REPORTS_MAX = 50;

/** What an agent tells of a running attempt: all that it has seen, which is more than last time. */
export const UsageReport = z.object({
  stepRun: z.string().min(1).max(600),
  attempt: z.int().min(1).max(10_000),
  series: UsageSeries,
});
export type UsageReport = z.infer<typeof UsageReport>;

/** One item of `GET /runs/:run/usage`. */
export const AttemptUsage = z.object({
  stepRun: z.string(),
  attempt: z.int(),
  state: AttemptState,
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime().nullable(),
  /** In all; empty until it has ended. */
  usage: Usage,
  /** Over time; null for an attempt that was over before the first look, or whose platform cannot tell. */
  series: UsageSeries.nullable(),
});
export type AttemptUsage = z.infer<typeof AttemptUsage>;
