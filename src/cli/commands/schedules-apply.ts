import type { Command } from "commander";
import { applySchedules } from "../api/schedules.ts";
import type { CliContext } from "../context.ts";
import { connect, persistently } from "../platform/connection.ts";
import { readPipeline } from "../read-pipeline.ts";
import { problemLine } from "../report-error.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatMoment } from "../terminal/format-moment.ts";
import { renderTable } from "../terminal/table.ts";
import { uploadSource } from "../upload-source.ts";

type Options = WithServer<{ json?: boolean }>;

/** `berth schedules apply FILE` */
export function defineSchedulesApply(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("apply <file>"))
    .description("make the schedules of a pipeline those of its file, with its version and source as they are now")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action((file: string, options: Options) => apply(context, file, options));
}

const HELP = `
Schedules that the file has no more are removed. A run of the file (berth run) changes no schedule.

Example:
  berth schedules apply pipeline.yaml`;

async function apply(context: CliContext, file: string, options: Options): Promise<void> {
  const { console } = context;
  const pipeline = readPipeline(file);
  for (const warning of pipeline.warnings)
    console.note(`${console.noteStyle.yellow("warning:")} ${problemLine(warning, file)}`);
  const connection = await connect(context, options);
  const source = pipeline.schedules.length === 0 ? null : await uploadSource(context, connection, pipeline);
  const request = { pipeline: pipeline.text, fileName: file, source };
  // Doing it twice comes to the same.
  const applied = await persistently(connection, () => applySchedules(connection.api, request));
  if (options.json) return console.out(JSON.stringify(applied, null, 2));
  const rows = applied.schedules.map(({ change, schedule: { name, cron, timezone, nextAt, state } }) => [
    `${applied.pipeline}/${name}`,
    change,
    `${cron} ${timezone}`,
    nextAt === null ? state : `next ${formatMoment(nextAt, timezone)}`,
  ]);
  const removed = applied.removed.map((name) => [`${applied.pipeline}/${name}`, "removed"]);
  for (const line of renderTable(UNTITLED, [...rows, ...removed])) console.out(line);
  if (rows.length + removed.length === 0) console.note(`${file} has no schedules, and none were there.`);
  if (connection.embedded && rows.length > 0) {
    console.note(console.noteStyle.dim("Berth on this machine stays up for them; after a restart: berth up"));
  }
}

const UNTITLED = ["", "", "", ""].map((title) => ({ title }));
