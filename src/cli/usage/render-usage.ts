import type { AttemptUsage, Usage } from "../../protocol/attempt-usage.ts";
import { samplesOf } from "../../protocol/usage-series.ts";
import { formatSize } from "../../std/format-size.ts";
import { renderSparkline } from "../terminal/chart.ts";
import { formatDuration } from "../terminal/format-duration.ts";
import { plainText } from "../terminal/plain-text.ts";
import type { Style } from "../terminal/style.ts";
import { renderTable } from "../terminal/table.ts";
import { type Curve, levelCurve, rateCurve } from "./usage-curves.ts";

export interface RenderOptions {
  readonly columns: number;
  readonly style: Style;
  readonly nowMs: number;
  /** Whether each attempt's curves are drawn below the table. */
  readonly curves: boolean;
}

/** In front of a curve and behind it: its name and its highest value. */
const CURVE_MARGIN_CHARS = 34;
const CURVE_MIN_CHARS = 10;
const CURVE_NAME_CHARS = 12;
const UNKNOWN = "-";

/** A line for each attempt; what is not known is `-`. */
export function renderUsage(attempts: readonly AttemptUsage[], options: RenderOptions): string[] {
  const right = (title: string) => ({ title, align: "right" as const });
  const columns = [
    ...[{ title: "STEP" }, right("TRY"), { title: "STATE" }, right("TIME"), right("CPU"), right("MEMORY")],
    ...[right("READ"), right("WRITTEN"), right("RECEIVED"), right("SENT"), right("DISK"), right("PROCESSES")],
  ];
  const rows = attempts.map((attempt) => rowOf(attempt, options.nowMs));
  return [...renderTable(columns, rows), ...(options.curves ? attempts.flatMap((one) => curvesOf(one, options)) : [])];
}

function rowOf(attempt: AttemptUsage, nowMs: number): string[] {
  const { stepRun, state, startedAt, finishedAt } = attempt;
  const use = soFar(attempt);
  const ms = (finishedAt === null ? nowMs : Date.parse(finishedAt)) - Date.parse(startedAt);
  return [
    ...[plainText(stepRun), String(attempt.attempt), state, formatDuration(ms)],
    use.cpuMs === undefined ? UNKNOWN : formatDuration(use.cpuMs),
    ...[use.memoryPeakBytes, use.readBytes, use.writtenBytes, use.receivedBytes, use.sentBytes, use.diskBytes].map(
      sizeOf,
    ),
    use.pidsPeak === undefined ? UNKNOWN : String(use.pidsPeak),
  ];
}

/** Of one that still runs, what was seen last. */
function soFar({ state, usage, series }: AttemptUsage): Usage {
  if (state !== "running" || series === null) return usage;
  const samples = samplesOf(series);
  const peak = (name: "memoryBytes" | "pids") => {
    const known = samples.flatMap((sample) => sample[name] ?? []);
    return known.length === 0 ? undefined : Math.max(...known);
  };
  return { ...samples.at(-1), memoryPeakBytes: peak("memoryBytes"), pidsPeak: peak("pids") };
}

function curvesOf({ stepRun, attempt, series }: AttemptUsage, { columns, style }: RenderOptions): string[] {
  const title = `${plainText(stepRun)}, attempt ${attempt}`;
  if (series === null) return ["", `${style.bold(title)}: over before it was looked at, or not to be seen`];
  const width = Math.max(CURVE_MIN_CHARS, columns - CURVE_MARGIN_CHARS);
  const perSecond = (bytes: number) => `${formatSize(bytes)}/s`;
  const lines = [
    curve("cores", rateCurve(series, "cpuMs", width), (msPerSecond) => (msPerSecond / 1000).toFixed(2)),
    curve("memory", levelCurve(series, "memoryBytes", width), formatSize),
    curve("reads", rateCurve(series, "readBytes", width), perSecond),
    curve("writes", rateCurve(series, "writtenBytes", width), perSecond),
    curve("received", rateCurve(series, "receivedBytes", width), perSecond),
    curve("sent", rateCurve(series, "sentBytes", width), perSecond),
    curve("processes", levelCurve(series, "pids", width), String),
  ];
  const spanMs = series.atMs.at(-1) ?? 0;
  return ["", `${style.bold(title)}: over ${formatDuration(spanMs)}`, ...lines.flatMap((line) => line ?? [])];
}

/** Null where nothing is known, or nothing ever happened. */
function curve(name: string, values: Curve, label: (value: number) => string): string | null {
  const most = Math.max(0, ...values.filter((value) => value !== null));
  if (most === 0) return null;
  return `  ${name.padEnd(CURVE_NAME_CHARS)}${renderSparkline(values)}  up to ${label(most)}`;
}

function sizeOf(bytes: number | undefined): string {
  return bytes === undefined ? UNKNOWN : formatSize(bytes);
}
