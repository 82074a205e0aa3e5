import type { Command } from "commander";
import type { CacheState, PolicyState } from "../../protocol/agent-api.ts";
import type { WorkerSummary } from "../../protocol/resources.ts";
import { formatSize } from "../../std/format-size.ts";
import { showWorker } from "../api/workers.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatAge } from "../terminal/format-duration.ts";
import { plainText } from "../terminal/plain-text.ts";

type Options = WithServer<{ json?: boolean }>;

export function defineWorkersShow(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("show <worker>"))
    .description("show a worker: its machine, its runs, and how its cache does")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  berth workers show gpu-1\n  berth workers show gpu-1 --json | jq .cache")
    .action((worker: string, options: Options) => show(context, worker, options));
}

async function show(context: CliContext, name: string, options: Options): Promise<void> {
  const { console } = context;
  const worker = await showWorker((await connect(context, options)).api, name);
  if (options.json) return console.out(JSON.stringify(worker, null, 2));
  for (const [what, value] of rows(worker))
    console.out(`${(what === "" ? "" : `${what}:`).padEnd(12)} ${plainText(value)}`);
}

function rows(worker: WorkerSummary): [what: string, value: string][] {
  const { os, arch, cpus, memoryBytes, gpus, diskFreeBytes, diskNeededBytes, cache } = worker;
  const seen = worker.lastSeenAt === null ? "never" : formatAge(Date.now() - Date.parse(worker.lastSeenAt));
  return [
    ["worker", `${worker.name} (${worker.id})`],
    ["state", `${worker.state}, seen ${seen}`],
    ["pool", worker.pool],
    ["labels", worker.labels.join(", ") || "-"],
    ["agent", `${worker.agentVersion}, ${worker.type}`],
    ["runs", `${worker.held} of ${worker.slots}`],
    ["machine", `${os} ${arch}, ${cpus} cores, ${formatSize(memoryBytes)}`],
    ["gpus", gpus.map(({ id, model }) => `${id} (${model})`).join(", ") || "-"],
    ["disk", `${formatSize(diskFreeBytes)} free; no runs below ${formatSize(diskNeededBytes)}`],
    ["backends", worker.backends.join(", ") || "-"],
    ...(cache === null ? [] : cacheRows(cache)),
    ...(worker.policy === null ? [] : policyRows(worker.policy)),
  ];
}

/** `cache` is what the worker last told, at most half a minute before it was last seen. */
function cacheRows(cache: CacheState): [what: string, value: string][] {
  const held = `${formatSize(cache.usedBytes)} of ${formatSize(cache.budgetBytes)}, ${cache.blobs} blobs`;
  const ratio = hitRatio(cache);
  const inputs =
    ratio === null
      ? "none read since the agent was started"
      : `${ratio} from here (${cache.hits}, ${formatSize(cache.hitBytes)}), ` +
        `fetched ${cache.misses} (${formatSize(cache.fetchedBytes)})`;
  const evicted = `${cache.evictions} (${formatSize(cache.evictedBytes)})`;
  return [
    ["cache", held],
    ["inputs", inputs],
    ["evicted", evicted],
  ];
}

function policyRows({ digest, summary }: PolicyState): [what: string, value: string][] {
  return [["policy", `sha256:${digest.slice(0, 12)}`], ...summary.map((rule): [string, string] => ["", rule])];
}

/** How many of the blobs that steps read were there, such as `93 %`; null when none was read yet. */
export function hitRatio({ hits, misses }: Pick<CacheState, "hits" | "misses">): string | null {
  return hits + misses === 0 ? null : `${Math.floor((100 * hits) / (hits + misses))} %`;
}
