import type { Command } from "commander";
import { pauseSchedule, resumeSchedule } from "../api/schedules.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { parseScheduleName } from "../schedule-name.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatMoment } from "../terminal/format-moment.ts";

type Options = WithServer<{ reason?: string; json?: boolean }>;

/** `berth schedules pause`, and its opposite, `resume`. */
export function defineSchedulesPause(parent: Command, context: CliContext): void {
  const { console } = context;
  withServerOptions(parent.command("pause <schedule>"))
    .description("pause a schedule: nothing of it is due until it is resumed; runs go on")
    .option("--reason <text>", "why, for others")
    .option("--json", "print JSON")
    .addHelpText("after", '\nExample:\n  berth schedules pause wine/nightly --reason "the vineyard is closed"')
    .action(async (name: string, options: Options) => {
      const { api } = await connect(context, options);
      const schedule = await pauseSchedule(api, parseScheduleName(name), options.reason ?? null);
      if (options.json) return console.out(JSON.stringify(schedule, null, 2));
      console.out(`${name} is paused. It goes on with: berth schedules resume ${name}`);
    });
  withServerOptions(parent.command("resume <schedule>"))
    .description("resume a schedule; what passed meanwhile is not caught up")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth schedules resume wine/nightly")
    .action(async (name: string, options: Options) => {
      const { api } = await connect(context, options);
      const schedule = await resumeSchedule(api, parseScheduleName(name));
      if (options.json) return console.out(JSON.stringify(schedule, null, 2));
      const { nextAt, timezone } = schedule;
      console.out(`${name} is active${nextAt === null ? "" : `, next ${formatMoment(nextAt, timezone)} ${timezone}`}.`);
    });
}
