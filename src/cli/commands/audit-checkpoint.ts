import type { Command } from "commander";
import { getAuditCheckpoint } from "../api/audit.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

export function defineAuditCheckpoint(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("checkpoint"))
    .description("print what the audit log ends with, signed: keep it where nobody who may change the database writes")
    .option("--installation", "of the installation's log in place of the project's")
    .addHelpText("after", "\nExample:\n  berth audit checkpoint > audit-$(date +%F).json")
    .action(async (options: WithServer<{ installation?: boolean }>) => {
      const { api } = await connect(context, options);
      const checkpoint = await getAuditCheckpoint(api, options.installation ? "installation" : "project");
      context.console.out(JSON.stringify(checkpoint, null, 2));
    });
}
