import type { Command } from "commander";
import { formatSize } from "../../std/format-size.ts";
import type { CacheCare, CliContext } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import type { CommandResult } from "../program.ts";
import { formatAge } from "../terminal/format-duration.ts";
import { bytesOf, onHome, type WorkerOptions, workerFolder } from "../worker-folder.ts";

/** `berth agent cache`: what a worker keeps of what its steps read and wrote. All of it works beside a running agent. */
export function defineAgentCache(parent: Command, context: CliContext, result: CommandResult): void {
  const cache = parent
    .command("cache")
    .description("look after the cache of the worker on this machine, whether its agent runs or not")
    .addHelpText("after", "\nExamples:\n  berth agent cache show\n  berth agent cache prune 5GiB");
  onHome(cache.command("show"))
    .description("what it holds")
    .addHelpText("after", "\nExample:\n  berth agent cache show")
    .action((options: WorkerOptions) => show(context, options));
  onHome(cache.command("verify"))
    .description("hash everything, and remove what is damaged; exits with 1 when something was")
    .addHelpText(
      "after",
      "\nWhat was removed is fetched again when a step needs it.\n\nExample:\n  berth agent cache verify",
    )
    .action((options: WorkerOptions) => verify(context, options, result));
  onHome(cache.command("prune <size>"))
    .description("remove the longest unused until no more than this is left, such as 5GiB, or 0 for all")
    .addHelpText(
      "after",
      "\nWhat a run on this worker needs stays, and so does what was used within the last minute.\n\n" +
        "Examples:\n  berth agent cache prune 5GiB\n  berth agent cache prune 0",
    )
    .action((size: string, options: WorkerOptions) => prune(context, size, options));
}

async function show(context: CliContext, options: WorkerOptions): Promise<void> {
  const { console } = context;
  const contents = await (await careOf(context, options)).show();
  if (options.json) return console.out(JSON.stringify(contents, null, 2));
  const { folder, blobs, bytes, budgetBytes, neededBytes, oldestUse } = contents;
  console.out(`${folder}: ${formatSize(bytes)} of ${formatSize(budgetBytes)}, ${blobs} blobs`);
  if (oldestUse === null) return;
  console.out(`needed now: ${formatSize(neededBytes)}`);
  console.out(`longest unused: ${formatAge(Date.now() - Date.parse(oldestUse))}`);
}

async function verify(context: CliContext, options: WorkerOptions, result: CommandResult): Promise<void> {
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

async function prune(context: CliContext, size: string, options: WorkerOptions): Promise<void> {
  const { console } = context;
  const bytes = bytesOf(size);
  const pruned = await (await careOf(context, options)).prune(bytes);
  if (options.json) return console.out(JSON.stringify(pruned, null, 2));
  const { removed, removedBytes, leftBytes } = pruned;
  console.out(`${removed} blobs removed, ${formatSize(removedBytes)}; ${formatSize(leftBytes)} left`);
  if (leftBytes > bytes)
    console.note("What is left is needed by runs on this worker, or was used within the last minute.");
}

async function careOf(context: CliContext, options: WorkerOptions): Promise<CacheCare> {
  return await context.programs.cacheCare(await workerFolder(context, options));
}
