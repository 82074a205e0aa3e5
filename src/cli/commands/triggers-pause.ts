import type { Command } from "commander";
import { pauseTrigger, resumeTrigger } from "../api/triggers.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

type Options = WithServer<{ reason?: string; json?: boolean }>;

/** `berth triggers pause`, and its opposite, `resume`. */
export function defineTriggersPause(parent: Command, context: CliContext): void {
  const { console } = context;
  withServerOptions(parent.command("pause <trigger>"))
    .description("pause a trigger: its messages are refused until it is resumed")
    .option("--reason <text>", "why, for others")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth triggers pause push")
    .action(async (name: string, options: Options) => {
      const { api } = await connect(context, options);
      const trigger = await pauseTrigger(api, name, options.reason ?? null);
      if (options.json) return console.out(JSON.stringify(trigger, null, 2));
      console.out(`${trigger.name} is paused. It goes on with: berth triggers resume ${trigger.name}`);
    });
  withServerOptions(parent.command("resume <trigger>"))
    .description("resume a trigger")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth triggers resume push")
    .action(async (name: string, options: Options) => {
      const { api } = await connect(context, options);
      const trigger = await resumeTrigger(api, name);
      if (options.json) return console.out(JSON.stringify(trigger, null, 2));
      console.out(`${trigger.name} is active.`);
    });
}
