import type { Command } from "commander";
import { removeSchedule } from "../api/schedules.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { parseScheduleName } from "../schedule-name.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

type Options = WithServer<{ json?: boolean }>;

/** `berth schedules remove PIPELINE/SCHEDULE` */
export function defineSchedulesRemove(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("remove <schedule>"))
    .description("remove a schedule, until its file is applied again; its runs stay")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth schedules remove wine/nightly")
    .action(async (name: string, options: Options) => {
      const { api } = await connect(context, options);
      await removeSchedule(api, parseScheduleName(name));
      if (options.json) context.console.out(JSON.stringify({ removed: name }));
      else context.console.out(`${name} is removed.`);
    });
}
