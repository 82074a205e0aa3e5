import type { Command } from "commander";
import type { Schedule } from "../../protocol/schedules.ts";
import { listSchedules } from "../api/schedules.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import type { CommandResult } from "../program.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatMoment, formatUntil } from "../terminal/format-moment.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";
import { defineSchedulesApply } from "./schedules-apply.ts";
import { defineSchedulesPause } from "./schedules-pause.ts";
import { defineSchedulesRemove } from "./schedules-remove.ts";
import { defineSchedulesRunNow } from "./schedules-run-now.ts";
import { defineSchedulesShow, outcomeText } from "./schedules-show.ts";

type Options = WithServer<{ pipeline?: string; json?: boolean }>;

export function define(command: Command, context: CliContext, result: CommandResult): void {
  withServerOptions(command.command("list", { isDefault: true }).alias("ls"))
    .description("list schedules, with their next and last due time")
    .option("--pipeline <name>", "only of this pipeline")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  berth schedules\n  berth schedules list --pipeline wine")
    .action((options: Options) => printSchedules(context, options));
  defineSchedulesApply(command, context);
  defineSchedulesShow(command, context);
  defineSchedulesPause(command, context);
  defineSchedulesRunNow(command, context, result);
  defineSchedulesRemove(command, context);
}

async function printSchedules(context: CliContext, options: Options): Promise<void> {
  const { console } = context;
  const schedules = await listSchedules((await connect(context, options)).api, options.pipeline);
  if (options.json) return console.out(JSON.stringify(schedules, null, 2));
  if (schedules.length === 0) {
    return console.note("There are no schedules. Make those of a pipeline file: berth schedules apply pipeline.yaml");
  }
  for (const line of renderTable(COLUMNS, schedules.map(cells))) console.out(line);
}

const COLUMNS = ["SCHEDULE", "STATE", "CRON", "ZONE", "NEXT", "", "LAST"].map((title) => ({ title }));

function cells(schedule: Schedule): string[] {
  const { nextAt, timezone, lastFiring } = schedule;
  return [
    `${schedule.pipeline}/${schedule.name}`,
    schedule.state,
    plainText(schedule.cron),
    timezone,
    nextAt === null ? "-" : formatMoment(nextAt, timezone),
    nextAt === null ? "" : formatUntil(Date.parse(nextAt) - Date.now()),
    lastFiring === null ? "-" : outcomeText(schedule, lastFiring),
  ];
}
