import type { Command } from "commander";
import { removeSecret } from "../api/secrets.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { checkSecretName } from "../platform/secret-input.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

/** `berth secret rm NAME` */
export function defineSecretRm(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("remove <name>").alias("rm"))
    .description("remove a secret with all its versions (operators)")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth secret rm REPORT_TOKEN")
    .action(async (name: string, options: WithServer<{ json?: boolean }>) => {
      await removeSecret((await connect(context, options)).api, checkSecretName(name));
      if (options.json) context.console.out(JSON.stringify({ removed: name }));
      else context.console.out(`${name} is removed.`);
    });
}
