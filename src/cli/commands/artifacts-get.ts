import { join, resolve } from "node:path";
import type { Command } from "commander";
import { goneWords } from "../../protocol/gone-version.ts";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import { formatSize } from "../../std/format-size.ts";
import { makeFolder } from "../../std/make-folder.ts";
import { normalInside } from "../../std/relative-path.ts";
import { readVersion } from "../api/artifacts.ts";
import { downloadArtifact } from "../artifacts/download.ts";
import { itemFolder } from "../artifacts/item-folder.ts";
import { nothingOf } from "../artifacts/nothing-of.ts";
import { parseReference } from "../artifacts/parse-reference.ts";
import { CliError, usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { connect, persistently } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { plainText } from "../terminal/plain-text.ts";
import { TransferProgress } from "../terminal/transfer-progress.ts";

type Options = WithServer<{ output: string; item?: string; path?: string; force?: boolean; json?: boolean }>;

export function defineArtifactsGet(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("get <artifact>"))
    .description("download a version of an artifact: pipeline/step/name, or with /version")
    .option("-o, --output <folder>", "folder to put it in", ".")
    .option("--item <item>", "one item of a batch or matrix, such as 7 or model=knn")
    .option("--path <path>", "only this file or folder of a folder artifact, such as plots/2024")
    .option("--force", "replace what is there")
    .option("--json", "print what was written as JSON")
    .addHelpText("after", HELP)
    .action((reference: string, options: Options) => getArtifact(context, reference, options));
}

const HELP = `
Every byte is checked against its SHA-256. A large file that was interrupted goes on where it stopped. Of a batch or matrix step, each item gets a folder of its own.

Examples:
  berth artifacts get wine/report/summary
  berth artifacts get wine/report/summary/3 -o results
  berth artifacts get wine/train/model --item model=knn
  berth artifacts get wine/report/site --path plots/2024`;

async function getArtifact(context: CliContext, text: string, options: Options): Promise<void> {
  const { console } = context;
  const reference = parseReference(text);
  const part = partOf(options.path);
  const connection = await connect(context, options);
  const { api } = connection;
  const { items: all, complete } = await readVersion(api, reference, options.item);
  const items = contentOf(all, console);
  if (!complete) {
    const what = options.item === undefined ? `${items.length} items of it are there` : "other items of it are missing";
    console.note(
      `${console.noteStyle.yellow("warning:")} ${text} is not complete: ${what}; not all of its step succeeded.`,
    );
  }
  if (items.length === 0) throw nothingOf(options.item);
  const targets = chooseFolders(items, resolve(options.output), reference.name);
  const written: { artifact: string; item: string; path: string; size: number; digest: string }[] = [];
  for (const [item, folder] of targets) {
    makeFolder(folder, 0o777);
    using progress = new TransferProgress(console, plainText(item.fileName), item.size);
    const { path, size, leftOut } = await downloadArtifact(item, {
      ...{ api, folder, part, overwrite: options.force ?? false },
      retrying: (work) => persistently(connection, work),
      onProgress: (bytes) => progress.update(bytes),
    });
    progress[Symbol.dispose]();
    for (const link of leftOut) {
      console.note(
        `${console.noteStyle.yellow("warning:")} the link ${plainText(link)} leads out of ${plainText(part!)}: it is left out.`,
      );
    }
    const artifact = `${item.pipeline}/${item.step}/${item.name}/${item.version}`;
    written.push({ artifact, item: item.item, path, size, digest: item.digest });
    if (!options.json)
      console.out(`${plainText(path)}  ${console.style.dim(`${artifact}, ${formatSize(size)}, SHA-256 checked`)}`);
  }
  if (options.json) console.out(JSON.stringify(written, null, 2));
}

/** What is there of the items; says what is gone, and why. */
function contentOf(all: readonly ArtifactVersion[], console: CliContext["console"]): ArtifactVersion[] {
  const gone = all.flatMap(({ expired, ...item }) => (expired === null ? [] : [goneWords({ ...item, expired })]));
  const [first] = gone;
  if (first === undefined) return [...all];
  if (gone.length === all.length) throw new CliError(first.message, { exitCode: EXIT.usage, advice: [first.advice] });
  const others = gone.length === 1 ? "" : ` So is that of ${gone.length - 1} others.`;
  console.note(`${console.noteStyle.yellow("warning:")} ${plainText(first.message)}${others}`);
  return all.filter(({ expired }) => expired === null);
}

/** `./plots/` is how people write a folder; the folder itself is all of it. */
function partOf(path: string | undefined): string | null {
  if (path === undefined) return null;
  const part = normalInside(path);
  if (part === null) throw usageError(`"${path}" is no path inside of an artifact.`, "Write it like plots/2024.");
  return part === "." ? null : part;
}

/** A plain step's artifact goes right into the folder; items each into one of their own. */
function chooseFolders(items: readonly ArtifactVersion[], output: string, name: string): Map<ArtifactVersion, string> {
  if (items.length === 1) return new Map([[items[0]!, output]]);
  const folders = new Map(items.map((item) => [item, join(output, name, itemFolder(item.item))]));
  if (new Set(folders.values()).size < items.length) {
    throw usageError("Several items would get the same folder name.", "Get them one by one with --item.");
  }
  return folders;
}
