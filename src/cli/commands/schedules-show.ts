import type { Command } from "commander";
import type { Firing, Schedule, ScheduleDetail } from "../../protocol/schedules.ts";
import { getSchedule } from "../api/schedules.ts";
import type { CliContext } from "../context.ts";
import { runName } from "../follow/summary.ts";
import { connect } from "../platform/connection.ts";
import { parseScheduleName } from "../schedule-name.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatMoment, formatUntil } from "../terminal/format-moment.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";

type Options = WithServer<{ json?: boolean }>;

/** `berth schedules show PIPELINE/SCHEDULE` */
export function defineSchedulesShow(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("show <schedule>"))
    .description("show a schedule: its next due times, and what became of the last ones")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth schedules show wine/nightly")
    .action(async (name: string, options: Options) => {
      const { api } = await connect(context, options);
      const schedule = await getSchedule(api, parseScheduleName(name));
      if (options.json) return context.console.out(JSON.stringify(schedule, null, 2));
      for (const line of renderSchedule(schedule)) context.console.out(line);
    });
}

function renderSchedule(schedule: ScheduleDetail): string[] {
  const { pipeline, name, cron, timezone, overlap, catchUp, paused } = schedule;
  const params = Object.entries(schedule.params).map(([key, value]) => `${key}=${plainText(String(value))}`);
  const pausedText =
    paused === null
      ? ""
      : `: by ${plainText(paused.by)}${paused.reason === null ? "" : `, ${plainText(paused.reason)}`}`;
  const facts = [
    ["state", `${schedule.state}${pausedText}`],
    ["cron", `${plainText(cron)} ${timezone}`],
    ["overlap", `${overlap}, catchUp: ${catchUp}`],
    ["runs", `version ${schedule.pipelineVersion}${params.length === 0 ? "" : ` with ${params.join(", ")}`}`],
    ["changed", `${formatMoment(schedule.changedAt, timezone)} ${timezone} by ${plainText(schedule.changedBy)}`],
  ];
  const next = schedule.next.map((time) => `  ${formatMoment(time, timezone)}  ${untilText(time)}`);
  const firings = schedule.firings.map((firing) => [
    formatMoment(firing.dueAt, timezone),
    outcomeText(schedule, firing),
    detailText(firing, timezone),
  ]);
  return [
    `${pipeline}/${name}`,
    ...renderTable([{ title: "" }, { title: "" }], facts).map((line) => `  ${line}`),
    "",
    ...(next.length === 0 ? [] : ["Next:", ...next, ""]),
    ...(firings.length === 0
      ? ["It has not been due yet."]
      : ["Last:", ...renderTable([{ title: "" }, { title: "" }, { title: "" }], firings).map((line) => `  ${line}`)]),
  ];
}

function untilText(time: string): string {
  return formatUntil(Date.parse(time) - Date.now());
}

/** `wine#12 succeeded`, `skipped: overlap`, `waiting`. */
export function outcomeText({ pipeline }: Pick<Schedule, "pipeline">, firing: Firing): string {
  if (firing.run !== null) return `${runName({ pipeline, number: firing.run.number })} ${firing.run.state}`;
  return firing.reason === null ? firing.state : `${firing.state}: ${firing.reason}`;
}

function detailText({ message, by, untilAt }: Firing, timezone: string): string {
  if (by !== null) return `asked for by ${plainText(by)}`;
  if (untilAt !== null) return `and all others until ${formatMoment(untilAt, timezone)}`;
  return plainText(message ?? "");
}
