import type { Command } from "commander";
import { removeTrigger } from "../api/triggers.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

type Options = WithServer<{ json?: boolean }>;

/** `berth triggers remove NAME` */
export function defineTriggersRemove(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("remove <trigger>"))
    .description("remove a trigger for good; its runs stay")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth triggers remove push")
    .action(async (name: string, options: Options) => {
      const { api } = await connect(context, options);
      await removeTrigger(api, name);
      if (options.json) context.console.out(JSON.stringify({ removed: name }));
      else context.console.out(`${name} is removed.`);
    });
}
