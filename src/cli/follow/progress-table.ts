import type { Progress } from "../../protocol/messages.ts";
import { matrixKey } from "../../protocol/names.ts";
import type { StepState } from "../../protocol/states.ts";
import { formatDuration } from "../terminal/format-duration.ts";
import { plainText } from "../terminal/plain-text.ts";
import type { Style } from "../terminal/style.ts";
import { clip, visibleLength } from "../terminal/table.ts";
import type { Row, RunView } from "./run-view.ts";

const SPINNER = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"] as const;
const SPINNER_FRAME_MS = 100;
const BAR_CELLS = 20;
/** What a row keeps for its name when the terminal is narrow. */
const NAME_COLUMNS_MIN = 12;
/** Width of what stands right of the name: bar, counts, duration. */
const FIGURES_COLUMNS = 46;

export interface ProgressOptions {
  readonly nowMs: number;
  readonly columns: number;
  /** Lines that fit; rows that nothing happens in are left out first. */
  readonly maxLines: number;
  readonly style: Style;
}

/** The run as lines of a terminal: one per step, combination or batch. Pure, so that it can be read in a test. */
export function renderProgress(view: RunView, options: ProgressOptions): string[] {
  const rows = [...view.rows.values()];
  const shown = chooseRows(rows, options.maxLines - 1);
  const longest = Math.max(...shown.map((row) => visibleLength(labelOf(row))), NAME_COLUMNS_MIN);
  const width = Math.max(NAME_COLUMNS_MIN, Math.min(longest, options.columns - FIGURES_COLUMNS));
  const lines = shown.map((row) => renderRow(row, width, options));
  const hidden = rows.length - shown.length;
  if (hidden > 0) lines.push(options.style.dim(`  … and ${hidden} more`));
  return lines;
}

/** `train model=knn`: how people read a step run. */
export function labelOf(row: Pick<Row, "step" | "matrix">): string {
  return plainText(row.matrix === null ? row.step : `${row.step} ${matrixKey(row.matrix)}`);
}

function chooseRows(rows: readonly Row[], max: number): readonly Row[] {
  if (rows.length <= max) return rows;
  const byInterest = rows.toSorted((one, other) => interest(other.state) - interest(one.state));
  const chosen = new Set(byInterest.slice(0, Math.max(1, max)));
  return rows.filter((row) => chosen.has(row));
}

function interest(state: StepState): number {
  return { running: 3, failed: 2, cancelled: 1, pending: 0, succeeded: 0, skipped: 0 }[state];
}

function renderRow(row: Row, nameColumns: number, { nowMs, style, columns }: ProgressOptions): string {
  const name = clip(labelOf(row), nameColumns).padEnd(nameColumns);
  const mark = markOf(row.state, nowMs, style);
  const figures = [
    row.batch === null ? saidText(row, style, columns) : batchText(row.batch, style, columns),
    ...[durationText(row, nowMs), noteText(row), messageText(row, style)],
  ].filter((text) => text !== "");
  const text = row.state === "pending" ? style.dim(name) : name;
  return `${mark} ${text}  ${figures.join("  ")}`.trimEnd();
}

export function markOf(state: StepState, nowMs: number, style: Style): string {
  switch (state) {
    case "pending":
      return style.dim("·");
    case "running":
      return style.cyan(SPINNER[Math.floor(nowMs / SPINNER_FRAME_MS) % SPINNER.length]!);
    case "succeeded":
      return style.green("✓");
    case "failed":
      return style.red("✗");
    case "skipped":
      return style.dim("–");
    case "cancelled":
      return style.yellow("■");
  }
}

/** How far a running step is by its own account, where it says so in numbers. */
function saidText({ progress }: Row, style: Style, columns: number): string {
  if (progress === null || progress.done === null) return "";
  const { done, total } = progress;
  return total === null ? String(done) : `${barOf(total === 0 ? 1 : done / total, style, columns)}${done}/${total}`;
}

function messageText({ progress }: Row, style: Style): string {
  return progress === null || progress.message === null ? "" : style.dim(plainText(progress.message));
}

/** `3/10 epoch 3` */
export function progressText({ done, total, message }: Progress): string {
  const share = done === null ? "" : total === null ? String(done) : `${done}/${total}`;
  return [share, message === null ? "" : plainText(message)].filter((text) => text !== "").join(" ");
}

function barOf(share: number, style: Style, columns: number): string {
  if (columns < NAME_COLUMNS_MIN + FIGURES_COLUMNS) return "";
  // What a step says of itself may be anything.
  const filled = Math.floor(Math.min(1, Math.max(0, share)) * BAR_CELLS);
  return `${"█".repeat(filled)}${style.dim("░".repeat(BAR_CELLS - filled))} `;
}

function batchText(batch: NonNullable<Row["batch"]>, style: Style, columns: number): string {
  const { items, ended, running } = batch;
  const failed = [...ended.values()].filter((state) => state === "failed").length;
  const bar = barOf(items === 0 ? 1 : ended.size / items, style, columns);
  const extra = [running.size > 0 ? `${running.size} running` : "", failed > 0 ? style.red(`${failed} failed`) : ""];
  return [`${bar}${ended.size}/${items}`, ...extra.filter((text) => text !== "")].join(" ");
}

function durationText(row: Row, nowMs: number): string {
  if (row.startedAtMs === null) return "";
  return formatDuration((row.finishedAtMs ?? nowMs) - row.startedAtMs);
}

function noteText(row: Row): string {
  if (row.state === "skipped") return "skipped";
  return row.attempt > 1 ? `attempt ${row.attempt}` : "";
}
