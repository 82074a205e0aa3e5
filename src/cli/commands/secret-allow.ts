import type { Command } from "commander";
import { allowPipelines } from "../api/secrets.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { checkSecretName } from "../platform/secret-input.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

/** `berth secret allow NAME PIPELINE…` */
export function defineSecretAllow(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("allow <name> [pipelines...]"))
    .description("say which pipelines may have a secret, in place of those before (operators)")
    .option("--all", "all of the project")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  berth secret allow REPORT_TOKEN report nightly\n  berth secret allow REPORT_TOKEN --all",
    )
    .action(async (name: string, pipelines: string[], options: WithServer<{ all?: boolean; json?: boolean }>) => {
      if ((options.all === true) === pipelines.length > 0) throw usageError("Name pipelines, or say --all.");
      const { api } = await connect(context, options);
      const secret = await allowPipelines(api, checkSecretName(name), options.all ? null : pipelines);
      if (options.json) return context.console.out(JSON.stringify(secret, null, 2));
      context.console.out(`${name} is for ${secret.pipelines?.join(", ") ?? "all pipelines"}.`);
    });
}
