import type { Command } from "commander";
import type { CachePlanStep } from "../../protocol/cache.ts";
import { planCache } from "../api/cache.ts";
import type { CliContext } from "../context.ts";
import { differenceLine } from "../follow/cache-difference.ts";
import { connect } from "../platform/connection.ts";
import { readParams, withParams } from "../read-params.ts";
import { readPipeline } from "../read-pipeline.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";
import { uploadSource } from "../upload-source.ts";

type Options = WithServer<{ param?: string[]; json?: boolean }>;

/** `berth cache plan FILE` */
export function defineCachePlan(parent: Command, context: CliContext): void {
  withParams(withServerOptions(parent.command("plan <file>")))
    .description("say which steps a run would take from the cache, and why not the others")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nImages are taken to be what they were: only a worker knows.\n\nExample:\n  berth cache plan pipeline.yaml",
    )
    .action((file: string, options: Options) => plan(context, file, options));
}

async function plan(context: CliContext, file: string, options: Options): Promise<void> {
  const { console } = context;
  const pipeline = readPipeline(file);
  const params = readParams(options.param ?? [], pipeline);
  const connection = await connect(context, options);
  const source = await uploadSource(context, connection, pipeline);
  const { steps } = await planCache(connection.api, { pipeline: pipeline.text, fileName: file, params, source });
  if (options.json) return console.out(JSON.stringify({ steps }, null, 2));
  const rows = steps.map((step) => [step.stepRun, step.verdict, plainText(step.why)]);
  for (const line of renderTable([{ title: "STEP" }, { title: "CACHE" }, { title: "" }], rows)) console.out(line);
  for (const { stepRun, differences } of steps.filter(({ verdict }) => verdict === "miss")) {
    for (const difference of differences) console.out(`  ${plainText(stepRun)}: ${differenceLine(difference)}`);
  }
  console.out("");
  console.out(summary(steps));
}

function summary(steps: readonly CachePlanStep[]): string {
  const count = (verdict: CachePlanStep["verdict"]) => steps.filter((step) => step.verdict === verdict).length;
  const [hits, misses, open, off] = [count("hit"), count("miss"), count("open"), count("off")];
  const parts = [`${hits} ${hits === 1 ? "hit" : "hits"}`, `${misses} ${misses === 1 ? "miss" : "misses"}`];
  if (open > 0) parts.push(`${open} open`);
  if (off > 0) parts.push(`${off} without a cache`);
  return parts.join(", ");
}
