import type { Command } from "commander";
import type { WorkerSummary } from "../../protocol/resources.ts";
import { formatSize } from "../../std/format-size.ts";
import { listWorkers } from "../api/workers.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatAge } from "../terminal/format-duration.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";
import { defineWorkersDrain } from "./workers-drain.ts";
import { defineWorkersRemove } from "./workers-remove.ts";
import { defineWorkersShow, hitRatio } from "./workers-show.ts";

export function define(command: Command, context: CliContext): void {
  withServerOptions(command)
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  berth workers\n  berth workers --json | jq -r '.[].name'")
    .action((options: WithServer<{ json?: boolean }>) => printWorkers(context, options));
  defineWorkersShow(command, context);
  defineWorkersDrain(command, context);
  defineWorkersRemove(command, context);
}

async function printWorkers(context: CliContext, options: WithServer<{ json?: boolean }>): Promise<void> {
  const { console } = context;
  const workers = await listWorkers((await connect(context, options)).api);
  if (options.json) return console.out(JSON.stringify(workers, null, 2));
  if (workers.length === 0) return console.note("There are no workers. Register one: berth agent register --help");
  for (const line of renderTable(COLUMNS, workers.map(cells))) console.out(line);
}

const COLUMNS = ["NAME", "STATE", "POOL", "LABELS", "RUNS", "MACHINE", "CACHE", "BACKENDS", "SEEN"].map((title) => ({
  title,
}));

function cells(worker: WorkerSummary): string[] {
  return [
    plainText(worker.name),
    worker.state,
    worker.pool,
    plainText(worker.labels.join(",")) || "-",
    `${worker.held}/${worker.slots}`,
    plainText(machine(worker)),
    cacheOf(worker),
    worker.backends.join(",") || "-",
    worker.lastSeenAt === null ? "never" : formatAge(Date.now() - Date.parse(worker.lastSeenAt)),
  ];
}

/** What it holds, and how many of the blobs that steps read were there. */
function cacheOf({ cache }: WorkerSummary): string {
  if (cache === null) return "-";
  const ratio = hitRatio(cache);
  return `${formatSize(cache.usedBytes)}${ratio === null ? "" : `, ${ratio} hits`}`;
}

function machine({ os, arch, cpus, memoryBytes, gpus }: WorkerSummary): string {
  const parts = [`${os} ${arch}`, `${cpus} cores`, formatSize(memoryBytes)];
  if (gpus.length > 0) parts.push(`${gpus.length} ${gpus.length === 1 ? "GPU" : "GPUs"}`);
  return parts.join(", ");
}
