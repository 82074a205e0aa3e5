import type { Command } from "commander";
import { runSchedule } from "../api/schedules.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import type { CommandResult } from "../program.ts";
import { announceSubmitted, interruptsOfRun, runToEnd } from "../run-pipeline.ts";
import { parseScheduleName } from "../schedule-name.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

type Options = WithServer<{ detach?: boolean; json?: boolean; quiet?: boolean }>;

/** `berth schedules run-now PIPELINE/SCHEDULE` */
export function defineSchedulesRunNow(parent: Command, context: CliContext, result: CommandResult): void {
  withServerOptions(parent.command("run-now <schedule>"))
    .description("run what a schedule runs, at once, and follow it to its end")
    .option("-d, --detach", "do not wait for the end")
    .option("-q, --quiet", "print only how it ended")
    .option("--json", "print the run, its steps and artifacts as JSON; progress goes to stderr")
    .addHelpText(
      "after",
      "\nAlso while it is paused, and whatever else of it runs.\n\nExample:\n  berth schedules run-now wine/nightly",
    )
    .action(async (name: string, options: Options) => {
      const schedule = parseScheduleName(name);
      const connection = await connect(context, options);
      using interrupts = options.detach ? null : interruptsOfRun(context);
      const run = await runSchedule(connection.api, schedule);
      announceSubmitted(context, run, options);
      const { json = false, quiet = false } = options;
      if (interrupts === null) return;
      result.exitCode = await runToEnd(context, connection, run, { json, quiet, interrupts });
    });
}
