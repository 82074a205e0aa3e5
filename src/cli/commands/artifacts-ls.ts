import type { Command } from "commander";
import { type ArtifactVersion, PAGE_LIMIT_MAX } from "../../protocol/resources.ts";
import { formatSize } from "../../std/format-size.ts";
import { listArtifacts } from "../api/artifacts.ts";
import type { CliContext } from "../context.ts";
import { runName } from "../follow/summary.ts";
import { connect } from "../platform/connection.ts";
import { positiveIntegerUpTo } from "../positive-integer.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatAge } from "../terminal/format-duration.ts";
import { formatUntil } from "../terminal/format-moment.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";

type Options = WithServer<{
  pipeline?: string;
  run?: string;
  step?: string;
  all?: boolean;
  tag?: string[];
  limit: number;
  json?: boolean;
}>;

export function defineArtifactsLs(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("ls"))
    .description("list artifact versions, newest first")
    .option("--pipeline <name>", "only of this pipeline")
    .option("--run <run>", "only of this run, such as wine#12")
    .option("--step <name>", "only of this step")
    .option("--all", "also those whose content has expired or was removed")
    .option("--tag <tag>", "only with this tag, such as team=ml, or team; may be given again", gather)
    .option("--limit <n>", `how many; at most ${PAGE_LIMIT_MAX}`, positiveIntegerUpTo(PAGE_LIMIT_MAX), 50)
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  berth artifacts ls --pipeline wine\n  berth artifacts ls --run wine#12 --json\n  berth artifacts ls --tag team=ml --tag stage",
    )
    .action((options: Options) => printArtifacts(context, options));
}

async function printArtifacts(context: CliContext, options: Options): Promise<void> {
  const { console } = context;
  const { pipeline, run, step, tag: tags, all, limit } = options;
  const filter = { pipeline, run, step, tags, all, limit };
  const artifacts = await listArtifacts((await connect(context, options)).api, filter);
  if (options.json) return console.out(JSON.stringify(artifacts, null, 2));
  if (artifacts.length === 0) return console.note("There are no such artifacts.");
  // Most have none, and lines are long enough.
  const withTags = artifacts.some(({ tags: some }) => Object.keys(some).length > 0);
  const columns = withTags ? [...COLUMNS, { title: "TAGS" }] : COLUMNS;
  const rows = artifacts.map((one) => (withTags ? [...cells(one), tagsText(one)] : cells(one)));
  for (const line of renderTable(columns, rows)) console.out(line);
}

function gather(tag: string, before: string[] = []): string[] {
  return [...before, tag];
}

function tagsText({ tags }: ArtifactVersion): string {
  return plainText(
    Object.entries(tags)
      .map(([key, value]) => `${key}=${value}`)
      .join(" "),
  );
}

const COLUMNS = [
  { title: "ARTIFACT" },
  { title: "ITEM" },
  { title: "SIZE", align: "right" as const },
  { title: "FILE" },
  { title: "RUN" },
  { title: "CREATED" },
  { title: "GOES" },
];

function cells(artifact: ArtifactVersion): string[] {
  const { pipeline, step, name, version } = artifact;
  return [
    `${pipeline}/${step}/${name}/${version}`,
    plainText(artifact.item) || "-",
    formatSize(artifact.size),
    plainText(artifact.fileName) + (artifact.kind === "folder" ? "/" : ""),
    runName({ pipeline, number: artifact.run.number }),
    formatAge(Date.now() - Date.parse(artifact.createdAt)),
    goes(artifact),
  ];
}

/** `berth artifacts retention` says more. */
function goes({ expired, pinned, expiresAt }: ArtifactVersion): string {
  if (expired !== null) return "gone";
  if (pinned !== null) return "pinned";
  return expiresAt === null ? "never" : formatUntil(Date.parse(expiresAt) - Date.now());
}
