import type { Command } from "commander";
import { formatSize } from "../../std/format-size.ts";
import type { CliContext, ImageCare, WorkerImage } from "../context.ts";
import { formatAge } from "../terminal/format-duration.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";
import { bytesOf, onHome, type WorkerOptions, workerFolder } from "../worker-folder.ts";

/** `berth agent images`: those that a worker has because of runs. All of it works beside a running agent. */
export function defineAgentImages(parent: Command, context: CliContext): void {
  const images = parent
    .command("images")
    .description("look after the images that runs brought to the worker on this machine, whether its agent runs or not")
    .addHelpText("after", "\nExamples:\n  berth agent images\n  berth agent images prune 20GiB");
  onHome(images.command("show", { isDefault: true }))
    .description("what they take, when they were last used, and what keeps them")
    .addHelpText("after", "\nExample:\n  berth agent images show --json")
    .action((options: WorkerOptions) => show(context, options));
  onHome(images.command("prune <size>"))
    .description("remove the longest unused until no more than this is left, such as 20GiB, or 0 for all")
    .addHelpText(
      "after",
      "\nWhat this worker had before, or what something needs, stays.\n\nExample:\n  berth agent images prune 20GiB",
    )
    .action((size: string, options: WorkerOptions) => prune(context, size, options));
}

async function show(context: CliContext, options: WorkerOptions): Promise<void> {
  const { console } = context;
  const { images, bytes, budgetBytes } = await withCare(context, options, (care) => care.show());
  if (options.json) return console.out(JSON.stringify({ images, bytes, budgetBytes }, null, 2));
  if (images.length > 0) for (const line of renderTable(COLUMNS, images.map(cells))) console.out(line);
  console.note(`${formatSize(bytes)} of ${formatSize(budgetBytes)}, ${images.length} images`);
}

async function prune(context: CliContext, size: string, options: WorkerOptions): Promise<void> {
  const { console } = context;
  const bytes = bytesOf(size);
  const pruned = await withCare(context, options, (care) => care.prune(bytes));
  if (options.json) return console.out(JSON.stringify(pruned, null, 2));
  const { removed, removedBytes, leftBytes } = pruned;
  for (const image of removed) console.out(`${nameOf(image)} (${formatSize(image.bytes)})`);
  console.out(`${removed.length} images removed, ${formatSize(removedBytes)}; ${formatSize(leftBytes)} left`);
  if (leftBytes > bytes) console.note("`berth agent images` says what keeps the rest.");
}

async function withCare<T>(context: CliContext, options: WorkerOptions, work: (care: ImageCare) => Promise<T>) {
  await using opened = await context.programs.imageCare(await workerFolder(context, options));
  return await work(opened.care);
}

const COLUMNS = ["IMAGE", "SIZE", "USED", "KEPT BY"].map((title) => ({ title }));

function cells(image: WorkerImage): string[] {
  const age = formatAge(Date.now() - Date.parse(image.lastUsedAt));
  return [nameOf(image), formatSize(image.bytes), age, image.kept === null ? "-" : plainText(image.kept)];
}

function nameOf({ id, names }: WorkerImage): string {
  return names.length === 0 ? id : names.map(plainText).join(", ");
}
