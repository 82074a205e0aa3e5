import type { Command } from "commander";
import { LINEAGE_DEPTH_DEFAULT, LINEAGE_DEPTH_MAX, type Lineage, LineageDirection } from "../../protocol/lineage.ts";
import { readLineage } from "../api/lineage.ts";
import { lineageDot } from "../artifacts/lineage-dot.ts";
import { renderLineage } from "../artifacts/lineage-tree.ts";
import { parseReference } from "../artifacts/parse-reference.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { positiveIntegerUpTo } from "../positive-integer.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

type Options = WithServer<{ direction: string; depth: number; item?: string; json?: boolean; dot?: boolean }>;

export function defineArtifactsLineage(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("lineage <artifact>"))
    .description("show what a version was made from, and what was made from it")
    .option("--direction <way>", "up (made from), down (used for) or both", "both")
    .option("--depth <n>", "steps to follow", positiveIntegerUpTo(LINEAGE_DEPTH_MAX), LINEAGE_DEPTH_DEFAULT)
    .option("--item <item>", "one item of a batch or matrix, such as 7 or model=knn")
    .option("--json", "print the graph as JSON")
    .option("--dot", "print the graph for Graphviz")
    .addHelpText("after", HELP)
    .action((reference: string, options: Options) => showLineage(context, reference, options));
}

const HELP = `
Items of a batch or matrix are one line with a count. What stands on several paths is drawn at the first.

Examples:
  berth artifacts lineage wine/report/summary
  berth artifacts lineage wine/prepare/test/3 --direction down
  berth artifacts lineage wine/report/summary --dot | dot -Tsvg > lineage.svg`;

async function showLineage(context: CliContext, text: string, options: Options): Promise<void> {
  const { console } = context;
  const reference = parseReference(text);
  const direction = LineageDirection.safeParse(options.direction);
  if (!direction.success) throw usageError(`"${options.direction}" is no direction.`, "Use up, down or both.");
  if (options.json && options.dot) throw usageError("--json and --dot are two forms of the same: use one.");
  const { api } = await connect(context, options);
  const { depth, item } = options;
  const lineage = await readLineage(api, reference, { direction: direction.data, depth, item });
  if (options.json) console.out(JSON.stringify(lineage, null, 2));
  else for (const line of options.dot ? lineageDot(lineage) : renderLineage(lineage, console.style)) console.out(line);
  for (const line of truncationLines(lineage)) console.note(`${console.noteStyle.yellow("warning:")} ${line}`);
}

function truncationLines({ truncated }: Lineage): string[] {
  return truncated.map(({ limit, max, direction }) => {
    const way = direction === "up" ? "what it was made from" : "what was made from it";
    if (limit === "members") return `this is not all of ${way}: an answer holds ${max} versions and step runs.`;
    return `this is not all of ${way}: ${max} steps were followed; --depth follows more.`;
  });
}
