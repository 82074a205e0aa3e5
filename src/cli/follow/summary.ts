import type { Fault } from "../../protocol/faults.ts";
import type { MetricSummary } from "../../protocol/messages.ts";
import type { ArtifactVersion, Run } from "../../protocol/resources.ts";
import { formatSize } from "../../std/format-size.ts";
import { formatDuration } from "../terminal/format-duration.ts";
import { plainLines, plainText } from "../terminal/plain-text.ts";
import type { Style } from "../terminal/style.ts";
import { renderTable } from "../terminal/table.ts";
import { labelOf, markOf } from "./progress-table.ts";
import type { Row, RunView } from "./run-view.ts";

/** Rows of a table in the summary; what is left out is counted. */
const ROWS_MAX = 40;
const WARNINGS_MAX = 20;

export interface SummaryData {
  readonly run: Run;
  readonly view: RunView;
  readonly artifacts: readonly ArtifactVersion[];
  readonly metrics: readonly MetricSummary[];
}

/** What is left to read when a run has ended: steps, artifacts, what went wrong and where to look further. */
export function renderSummary({ run, view, artifacts, metrics }: SummaryData, style: Style): string[] {
  return [
    "",
    headline(run, style),
    ...cancelLine(run),
    ...orderLines(run),
    "",
    ...stepsTable([...view.rows.values()], style),
    ...metricsTable(metrics, style),
    ...artifactsTable(artifacts, style),
    ...warningLines(view, style),
    ...faults(run, view, style),
  ];
}

/** `wine#12`: what people call a run. */
export function runName(run: Pick<Run, "pipeline" | "number">): string {
  return `${run.pipeline}#${run.number}`;
}

function headline(run: Run, style: Style): string {
  const paint =
    { succeeded: style.green, failed: style.red, cancelled: style.yellow }[run.state as string] ?? style.bold;
  const took =
    run.startedAt === null || run.finishedAt === null
      ? ""
      : ` in ${formatDuration(Date.parse(run.finishedAt) - Date.parse(run.startedAt))}`;
  const where = run.worker === null ? "" : ` on worker ${run.worker.name}`;
  const { pipeline, restartOf } = run;
  const origin = restartOf === null ? "" : `, a restart of ${runName({ pipeline, number: restartOf.number })}`;
  return `${style.bold(runName(run))} ${paint(run.state)}${took}${where}${origin}`;
}

/** Of a run that is still being stopped; one that was stopped says so in its fault. */
function cancelLine({ state, cancel }: Run): string[] {
  if (state !== "cancelling" || cancel === null) return [];
  return [
    `  being stopped: asked for by ${plainText(cancel.by)}${cancel.reason === null ? "" : `: ${plainText(cancel.reason)}`}`,
  ];
}

/** What decided, or decides, when the run's turn comes. */
function orderLines({ priority, concurrency }: Run): string[] {
  return [
    ...(priority === 0 ? [] : [`  priority ${priority}`]),
    ...(concurrency === null ? [] : [`  group ${plainText(concurrency.group)}, ${concurrency.limit} at a time`]),
  ];
}

function stepsTable(rows: readonly Row[], style: Style): string[] {
  const columns = [
    { title: "" },
    { title: style.dim("STEP") },
    { title: style.dim("STATE") },
    { title: style.dim("TIME"), align: "right" as const },
  ];
  const cells = rows
    .slice(0, ROWS_MAX)
    .map((row) => [
      isForgiven(row) ? style.yellow("!") : markOf(row.state, 0, style),
      labelOf(row),
      `${stateText(row)}${isForgiven(row) ? ", allowed" : ""}`,
      row.startedAtMs === null || row.finishedAtMs === null ? "" : formatDuration(row.finishedAtMs - row.startedAtMs),
    ]);
  return [...renderTable(columns, cells), ...leftOut(rows.length, "steps", style), ""];
}

/** It failed, and the run may succeed all the same. */
function isForgiven({ state, mayFail }: Row): boolean {
  return state === "failed" && mayFail;
}

function stateText({ state, batch, takenFrom, attempt, fault }: Row): string {
  if (state === "skipped" && fault !== null) return `skipped: ${fault.code}`;
  const from = `${takenFrom === null ? "" : ` in #${takenFrom}`}${(attempt ?? 0) > 1 ? ` in attempt ${attempt}` : ""}`;
  return batch === null ? `${state}${from}` : `${state}${from}, ${batch.items} items`;
}

/** The last value of each metric, of the newest attempt that reported it. */
function metricsTable(metrics: readonly MetricSummary[], style: Style): string[] {
  if (metrics.length === 0) return [];
  const newest = new Map<string, MetricSummary>();
  for (const metric of metrics) {
    const key = JSON.stringify([metric.stepRun, metric.name]);
    if (metric.attempt >= (newest.get(key)?.attempt ?? 0)) newest.set(key, metric);
  }
  const columns = [
    { title: " " },
    { title: style.dim("METRIC") },
    { title: style.dim("LAST"), align: "right" as const },
    { title: "" },
  ];
  const cells = [...newest.values()]
    .slice(0, ROWS_MAX)
    .map(({ stepRun, name, value, count, min, max }) => [
      " ",
      plainText(`${stepRun} ${name}`),
      formatValue(value),
      count === 1 ? "" : style.dim(`of ${count} values from ${formatValue(min)} to ${formatValue(max)}`),
    ]);
  return [...renderTable(columns, cells), ...leftOut(newest.size, "metrics", style), ""];
}

/** As many digits as tell two trainings apart. */
function formatValue(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function artifactsTable(artifacts: readonly ArtifactVersion[], style: Style): string[] {
  if (artifacts.length === 0) return [];
  const groups = groupItems(artifacts);
  const columns = [
    { title: " " },
    { title: style.dim("ARTIFACT") },
    { title: style.dim("SIZE"), align: "right" as const },
    { title: style.dim("FILES") },
  ];
  const cells = groups
    .slice(0, ROWS_MAX)
    .map((group) => [
      " ",
      plainText(group.reference),
      formatSize(group.size),
      group.items > 1 ? `${group.items} items` : group.files,
    ]);
  return [...renderTable(columns, cells), ...leftOut(groups.length, "artifacts", style), ""];
}

interface ArtifactGroup {
  readonly reference: string;
  readonly size: number;
  readonly items: number;
  readonly files: string;
}

/** Items of a batch or matrix step are one line. */
function groupItems(artifacts: readonly ArtifactVersion[]): ArtifactGroup[] {
  const groups = Map.groupBy(
    artifacts,
    (artifact) => `${artifact.pipeline}/${artifact.step}/${artifact.name}/${artifact.version}`,
  );
  return [...groups].map(([reference, versions]) => ({
    reference,
    size: versions.reduce((sum, version) => sum + version.size, 0),
    items: versions.length,
    files:
      versions[0]!.kind === "folder" ? `folder, ${versions[0]!.fileCount} files` : plainText(versions[0]!.fileName),
  }));
}

function warningLines({ warnings }: RunView, style: Style): string[] {
  const lines = [...warnings].flatMap(([key, texts]) =>
    texts.map((text) => `${style.yellow("!")} ${plainText(key)}: ${plainText(text)}`),
  );
  return lines.length === 0
    ? []
    : [...lines.slice(0, WARNINGS_MAX), ...leftOut(lines.length, "warnings", style, WARNINGS_MAX), ""];
}

function leftOut(count: number, what: string, style: Style, max = ROWS_MAX): string[] {
  return count <= max ? [] : [style.dim(`  … and ${count - max} more ${what}`)];
}

/** Each fault once, with the platform's words and what to do; what merely followed from another fault is left out. */
function faults(run: Run, view: RunView, style: Style): string[] {
  const found = [...view.rows.values()]
    .filter((row) => row.fault !== null && row.state === "failed")
    // What made the run fail comes first.
    .toSorted((one, other) => Number(one.mayFail) - Number(other.mayFail))
    .map((row) => ({ name: labelOf(row), fault: row.fault! }));
  // That a run was cancelled is in its headline; by whom, and why, is in the fault.
  if (run.state === "cancelled" && run.fault !== null)
    return [`${style.yellow("■")} ${plainText(run.fault.message)}`, ""];
  const isOfRun = found.length === 0 || run.fault?.code === "deadline-total";
  if (isOfRun && run.fault !== null) found.unshift({ name: runName(run), fault: run.fault });
  return found.slice(0, ROWS_MAX).flatMap(({ name, fault }) => [...faultLines(name, fault, style), ""]);
}

export function faultLines(name: string, fault: Fault, style: Style): string[] {
  const [message, ...more] = plainLines(fault.message);
  const evidence = fault.evidence === undefined ? [] : plainLines(fault.evidence);
  return [
    `${style.red("✗")} ${style.bold(name)}: ${message} ${style.dim(`(${fault.code}, blame: ${fault.blame})`)}`,
    ...[...more, ...evidence].map((line) => style.dim(`    ${line}`)),
    `    ${plainText(fault.advice)}`,
  ];
}
