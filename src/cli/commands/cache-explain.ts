import type { Command } from "commander";
import type { CacheExplanation, NotTakenReason } from "../../protocol/cache.ts";
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
  const { items, cached } = await explainCache((await connect(context, options)).api, run, step);
  if (options.json) return console.out(JSON.stringify(items, null, 2));
  if (items.length === 0) return console.note(`${plainText(reference)}${nothing(step, cached)}`);
  for (const item of items) for (const line of lines(item)) console.out(line);
}

/** Why there is nothing to tell of a run, or of a step that it has. */
function nothing(stepRun: string | null, cached: readonly string[]): string {
  if (stepRun === null) {
    if (cached.length === 0) return ' has no step with a cache. Add "cache: true" to a step.';
    return `: no step with a cache has come to its turn (${cached.join(", ")}).`;
  }
  if (!cached.includes(stepRun.split("[", 1)[0]!)) return ' has no cache: it always runs. Add "cache: true" to it.';
  return " has not been looked up in the cache: it has not come to its turn.";
}

function lines({ stepRun, takenFrom, compared, reason }: CacheExplanation): string[] {
  const name = plainText(stepRun);
  if (takenFrom !== null) return [`${name}: taken from run #${takenFrom}, everything is the same`];
  if (compared === null) return [`${name}: ran, for nothing was made before`];
  const { run, differences } = compared;
  if (differences.length === 0) {
    const why = reason === null ? WHY_UNKNOWN : NOT_TAKEN[reason];
    return [`${name}: ran, although nothing changed since run #${run}: ${why}`];
  }
  return [
    `${name}: ran, not as in run #${run}:`,
    ...differences.map((difference) => `  ${differenceLine(difference)}`),
  ];
}

const NOT_TAKEN: Readonly<Record<NotTakenReason, string>> = {
  off: "the cache was off for this run",
  "too-old": "that result was older than the step's ttl",
  "not-yet": "that result was not there yet",
  expired: "outputs of that result have expired, or were removed",
  "given-up": "that result was given up",
  gone: "outputs of that result are gone",
};
const WHY_UNKNOWN = "that result could not be taken then, such as because bytes of it were missing or damaged";
