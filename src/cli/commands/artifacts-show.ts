import type { Command } from "commander";
import { ArtifactDetail } from "../../protocol/resources.ts";
import { formatSize } from "../../std/format-size.ts";
import { type ArtifactReference, artifactPath } from "../api/artifacts.ts";
import { readLineage } from "../api/lineage.ts";
import { artifactFacts, type DetailedItem, keptWords } from "../artifacts/artifact-facts.ts";
import { nothingOf } from "../artifacts/nothing-of.ts";
import { parseReference } from "../artifacts/parse-reference.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";

/** Of a version with more items, so many are listed. */
const ITEMS_SHOWN_MAX = 50;

type Options = WithServer<{ item?: string; json?: boolean }>;

export function defineArtifactsShow(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("show <artifact>"))
    .description("show what is known of a version: content, run, tags, how long it is kept")
    .option("--item <item>", "one item of a batch or matrix, such as 7 or model=knn")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action((reference: string, options: Options) => showArtifact(context, reference, options));
}

const HELP = `
Of a batch or matrix its items are listed; --item shows one of them.

Examples:
  berth artifacts show wine/report/summary
  berth artifacts show wine/train/model/3 --item model=knn --json`;

async function showArtifact(context: CliContext, text: string, { item, json, ...server }: Options): Promise<void> {
  const { console } = context;
  const { api } = await connect(context, server);
  const reference = parseReference(text);
  const query = { item, limit: ITEMS_SHOWN_MAX };
  const detail = await api.get(artifactPath(reference), ArtifactDetail, { query });
  if (json) return console.out(JSON.stringify(detail, null, 2));
  const [only, ...others] = detail.items;
  if (only === undefined) throw nothingOf(item);
  const name = `${detail.pipeline}/${detail.step}/${detail.name}/${detail.version}`;
  console.out(console.style.bold(name) + (detail.complete ? "" : console.style.yellow("  not complete")));
  if (others.length > 0 || detail.next !== null) return listItems(context, detail);
  // What a restart took over is known by the version of the run that made it.
  const version: ArtifactReference = { ...reference, version: detail.version };
  const lineage = await readLineage(api, version, { direction: "both", depth: 1, item });
  for (const line of artifactFacts(only, lineage)) console.out(line);
  console.note(console.noteStyle.dim(`berth artifacts preview | lineage | provenance | verify | get ${name}`));
}

function listItems({ console }: CliContext, { items, next }: ArtifactDetail): void {
  const columns = [
    { title: "ITEM" },
    { title: "SIZE", align: "right" as const },
    { title: "STEP RUN" },
    { title: "KEPT" },
  ];
  for (const line of renderTable(columns, items.map(itemCells))) console.out(line);
  if (next !== null) console.note(`These are the first ${items.length} items; --item shows one.`);
}

function itemCells(item: DetailedItem): string[] {
  return [plainText(item.item), formatSize(item.size), plainText(item.stepRun), keptWords(item)];
}
