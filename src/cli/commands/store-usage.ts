import type { Command } from "commander";
import { HISTORY_DAYS_MAX, type StoreUsage } from "../../protocol/usage.ts";
import { formatSize } from "../../std/format-size.ts";
import { readUsage } from "../api/store.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { positiveIntegerUpTo } from "../positive-integer.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { renderChart } from "../terminal/chart.ts";
import type { Console } from "../terminal/console.ts";
import { formatMoment } from "../terminal/format-moment.ts";
import { renderTable } from "../terminal/table.ts";
import { quotaLine } from "./store-quota.ts";

type Options = WithServer<{ pipeline?: string; days: number; json?: boolean }>;

const PIPELINES_SHOWN = 20;
const CHART_HEIGHT = 6;
/** Room beside the chart for its labels. */
const LABEL_CHARS = 12;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** `berth store usage` */
export function defineStoreUsage(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("usage"))
    .description("what is in the store, by tier and pipeline, what goes in the next days, and how it grew")
    .option("--pipeline <name>", "how much that pipeline had over time")
    .option("--days <n>", `how far back; at most ${HISTORY_DAYS_MAX}`, positiveIntegerUpTo(HISTORY_DAYS_MAX), 30)
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  berth store usage\n  berth store usage --pipeline wine --days 90")
    .action(async ({ pipeline, days, ...options }: Options) => {
      const { console } = context;
      const usage = await readUsage((await connect(context, options)).api, { pipeline, days });
      if (options.json) return console.out(JSON.stringify(usage, null, 2));
      for (const line of renderUsage(usage, { console, days, whose: pipeline ?? "the project" })) console.out(line);
    });
}

interface Shown {
  readonly console: Pick<Console, "columns" | "style">;
  readonly days: number;
  readonly whose: string;
}

function renderUsage(usage: StoreUsage, shown: Shown): string[] {
  const { bold } = shown.console.style;
  const quotas = usage.quotas.flatMap((quota) =>
    quota.maxBytes === null ? [] : [quotaLine(quota, shown.console.style)],
  );
  const tiers = usage.tiers.map(({ tier, blobs, bytes }) => [tier, String(blobs), formatSize(bytes)]);
  const more = usage.pipelines.length - PIPELINES_SHOWN;
  const pipelines = usage.pipelines
    .slice(0, PIPELINES_SHOWN)
    .map(({ pipeline, versions, bytes, referencedBytes, pinnedBytes }) => [
      ...[pipeline, String(versions), formatSize(bytes), formatSize(referencedBytes)],
      pinnedBytes === 0 ? "-" : formatSize(pinnedBytes),
    ]);
  const right = (title: string) => ({ title, align: "right" as const });
  const due = usage.expiring.filter(({ versions }) => versions > 0);
  return [
    bold(`${formatSize(usage.bytes)} in the store`),
    ...quotas,
    ...section(renderTable([{ title: "TIER" }, right("BLOBS"), right("SIZE")], tiers), tiers.length),
    ...section(
      renderTable(
        [{ title: "PIPELINE" }, right("VERSIONS"), right("SIZE"), right("REFERRED TO"), right("PINNED")],
        pipelines,
      ),
      pipelines.length,
    ),
    ...(more > 0 ? [`and ${more} pipelines more (--json has all)`] : []),
    ...(due.length === 0 ? [] : ["", "Goes by its rules, unless it is needed (days in UTC):"]),
    ...due.map(
      ({ day, versions, referencedBytes }) => `  ${day}  ${versions} versions, ${formatSize(referencedBytes)}`,
    ),
    ...renderHistory(usage.history, shown),
  ];
}

function section(lines: readonly string[], rows: number): string[] {
  return rows === 0 ? [] : ["", ...lines];
}

function renderHistory(history: StoreUsage["history"], { console, days, whose }: Shown): string[] {
  const first = history[0];
  if (history.length < 2 || first === undefined) {
    return ["", "How it grew is shown once it was written down twice, which is done every hour."];
  }
  // As far back as there is something, in equal stretches.
  const from = Math.max(Date.parse(first.at), Date.now() - days * DAY_MS);
  const stretchMs = Date.now() - from > 7 * DAY_MS ? DAY_MS : HOUR_MS;
  const values = stretches(history, from, stretchMs);
  const width = Math.max(10, Math.min(values.length, console.columns - LABEL_CHARS));
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  return [
    "",
    `What ${whose} had, since ${formatMoment(from, timeZone)}:`,
    ...renderChart(values, { width, height: CHART_HEIGHT, label: formatSize }),
  ];
}

/** The last value of each stretch. */
function stretches(history: StoreUsage["history"], from: number, stretchMs: number): (number | null)[] {
  const values: (number | null)[] = Array.from(
    { length: Math.max(1, Math.ceil((Date.now() - from) / stretchMs)) },
    () => null,
  );
  for (const { at, bytes } of history) {
    const place = Math.floor((Date.parse(at) - from) / stretchMs);
    if (place >= 0 && place < values.length) values[place] = bytes;
  }
  return values;
}
