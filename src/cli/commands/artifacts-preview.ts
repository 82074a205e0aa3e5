import type { Command } from "commander";
import { PREVIEW_ROWS_DEFAULT, PREVIEW_ROWS_MAX } from "../../protocol/preview.ts";
import { getPreview } from "../api/preview.ts";
import { parseReference } from "../artifacts/parse-reference.ts";
import { previewLines, previewNotes } from "../artifacts/preview-lines.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { positiveIntegerUpTo } from "../positive-integer.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

type Options = WithServer<{ item?: string; path?: string; rows: number; cursor?: string; json?: boolean }>;

export function defineArtifactsPreview(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("preview <artifact>"))
    .description("show the beginning of an artifact without downloading it")
    .option("--path <file>", "a file of a folder")
    .option("--rows <n>", "rows, lines or entries", positiveIntegerUpTo(PREVIEW_ROWS_MAX), PREVIEW_ROWS_DEFAULT)
    .option("--cursor <cursor>", "of a folder: where to go on")
    .option("--item <item>", "one item of a batch or matrix, such as 7 or model=knn")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action((reference: string, options: Options) => showPreview(context, reference, options));
}

const HELP = `
Shows rows of CSV, TSV and Parquet, JSON, text in UTF-8, the size of images, the arrays of NumPy files, and what is in a
folder. Of anything else it says what it is.

Examples:
  berth artifacts preview wine/prepare/train
  berth artifacts preview wine/prepare/pages --path a/b.txt`;

async function showPreview(context: CliContext, text: string, options: Options): Promise<void> {
  const { console } = context;
  const reference = parseReference(text);
  const { api } = await connect(context, options);
  const { item, path, rows, cursor } = options;
  const preview = await getPreview(api, reference, { item, path, rows, cursor });
  if (options.json) return console.out(JSON.stringify(preview, null, 2));
  for (const line of previewLines(preview)) console.out(line);
  for (const note of previewNotes(preview)) console.note(console.noteStyle.dim(note));
}
