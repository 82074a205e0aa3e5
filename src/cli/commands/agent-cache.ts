import type { Command } from "commander";
import { MEMORY_PATTERN, parseMemory } from "../../pipeline/quantity.ts";
import { formatSize } from "../../std/format-size.ts";
import { usageError } from "../cli-error.ts";
import type { CacheCare, CliContext } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { berthHome, homeFiles } from "../platform/home.ts";
import type { CommandResult } from "../program.ts";
import { formatAge } from "../terminal/format-duration.ts";

interface Options {
  readonly home?: string;
  readonly json?: boolean;
}

/** `berth agent cache`: what a worker keeps of what its steps read and wrote. All of it works beside a running agent. */
export function defineAgentCache(parent: Command, context: CliContext, result: CommandResult): void {
  const cache = parent
    .command("cache")
    .description("look after the cache of the worker on this machine, whether its agent runs or not")
    .addHelpText("after", "\nExamples:\n  berth agent cache show\n  berth agent cache prune 5GiB");
  onHome(cache.command("show"))
    .description("what it holds")
    .addHelpText("after", "\nExample:\n  berth agent cache show")
    .action((options: Options) => show(context, options));
  onHome(cache.command("verify"))
    .description("hash everything, and remove what is damaged; exits with 1 when something was")
    .addHelpText(
      "after",
      "\nWhat was removed is fetched again when a step needs it.\n\nExample:\n  berth agent cache verify",
    )
    .action((options: Options) => verify(context, options, result));
  onHome(cache.command("prune <size>"))
    .description("remove the longest unused until no more than this is left, such as 5GiB, or 0 for all")
    .addHelpText(
      "after",
      "\nWhat a run on this worker needs stays, and so does what was used within the last minute.\n\n" +
        "Examples:\n  berth agent cache prune 5GiB\n  berth agent cache prune 0",
    )
    .action((size: string, options: Options) => prune(context, size, options));
}

function onHome(command: Command): Command {
  return command
    .option("--home <folder>", "folder of the worker; by default the one that is registered on this machine")
    .option("--json", "print JSON");
}

async function show(context: CliContext, options: Options): Promise<void> {
  const { console } = context;
  const contents = await (await careOf(context, options)).show();
  if (options.json) return console.out(JSON.stringify(contents, null, 2));
  const { folder, blobs, bytes, budgetBytes, neededBytes, oldestUse } = contents;
  console.out(`${folder}: ${formatSize(bytes)} of ${formatSize(budgetBytes)}, ${blobs} blobs`);
  if (oldestUse === null) return;
  console.out(`needed now: ${formatSize(neededBytes)}`);
  console.out(`longest unused: ${formatAge(Date.now() - Date.parse(oldestUse))}`);
}

async function verify(context: CliContext, options: Options, result: CommandResult): Promise<void> {
  const { console } = context;
  const verified = await (await careOf(context, options)).verify();
  const { blobs, bytes, damaged } = verified;
  if (options.json) console.out(JSON.stringify(verified, null, 2));
  else {
    console.out(
      `${blobs} blobs hashed, ${formatSize(bytes)}: ${damaged.length === 0 ? "all as they were" : `${damaged.length} damaged and removed`}`,
    );
    for (const digest of damaged) console.out(`  ${digest}`);
    if (damaged.length > 0) {
      console.note("They are fetched again when a step needs them. If this repeats, look at the disk.");
    }
  }
  if (damaged.length > 0) result.exitCode = EXIT.runFailed;
}

async function prune(context: CliContext, size: string, options: Options): Promise<void> {
  const { console } = context;
  const bytes = size === "0" ? 0 : MEMORY_PATTERN.test(size) ? parseMemory(size) : null;
  if (bytes === null) throw usageError(`"${size}" is no size.`, "Write it like 500MiB or 5GiB, or 0 for nothing.");
  const pruned = await (await careOf(context, options)).prune(bytes);
  if (options.json) return console.out(JSON.stringify(pruned, null, 2));
  const { removed, removedBytes, leftBytes } = pruned;
  console.out(`${removed} blobs removed, ${formatSize(removedBytes)}; ${formatSize(leftBytes)} left`);
  if (leftBytes > bytes)
    console.note("What is left is needed by runs on this worker, or was used within the last minute.");
}

/** Of the worker that is named, or of the one that this machine is: its own agent first, then that of `berth up`. */
async function careOf({ env, programs }: CliContext, { home }: Options): Promise<CacheCare> {
  const { agent, localAgent } = homeFiles(berthHome(env));
  for (const folder of home === undefined ? [agent, localAgent] : [home]) {
    if ((await programs.registeredWorker(folder)) !== null) return await programs.cacheCare(folder);
  }
  throw usageError(
    `There is no worker in ${home ?? `${agent} or ${localAgent}`}.`,
    "--home names the folder of a worker, as for `berth agent start`.",
  );
}
