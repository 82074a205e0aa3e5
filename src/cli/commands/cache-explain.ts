import type { Command } from "commander";
import type { CacheExplanation } from "../../protocol/cache.ts";
import { explainCache } from "../api/cache.ts";
import type { CliContext } from "../context.ts";
import { differenceLine } from "../follow/cache-difference.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { plainText } from "../terminal/plain-text.ts";

type Options = WithServer<{ json?: boolean }>;

/** `berth cache explain RUN/STEP` */
export function defineCacheExplain(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("explain <run>"))
    .description("say why steps of a run were taken from the cache, or ran")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  berth cache explain wine#12\n  berth cache explain wine#12/train")
    .action((reference: string, options: Options) => explain(context, reference, options));
}

async function explain(context: CliContext, reference: string, options: Options): Promise<void> {
  const { console } = context;
  const slash = reference.indexOf("/");
  const [run, step] = slash < 0 ? [reference, null] : [reference.slice(0, slash), reference.slice(slash + 1)];
  const items = await explainCache((await connect(context, options)).api, run, step);
  if (options.json) return console.out(JSON.stringify(items, null, 2));
  if (items.length === 0) return console.note(`${reference} has no step with a cache. Add "cache: true" to a step.`);
  for (const item of items) for (const line of lines(item)) console.out(line);
}

function lines({ stepRun, takenFrom, compared }: CacheExplanation): string[] {
  const name = plainText(stepRun);
  if (takenFrom !== null) return [`${name}: taken from run #${takenFrom}, everything is the same`];
  if (compared === null) return [`${name}: ran, for nothing was made before`];
  const { run, differences } = compared;
  if (differences.length === 0) {
    return [`${name}: ran, although nothing changed since run #${run}: the cache was off, given up, or too old`];
  }
  return [
    `${name}: ran, not as in run #${run}:`,
    ...differences.map((difference) => `  ${differenceLine(difference)}`),
  ];
}
