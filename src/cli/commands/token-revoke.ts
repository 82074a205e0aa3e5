import type { Command } from "commander";
import { revokeToken } from "../api/tokens.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

export function defineTokenRevoke(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("revoke <id>"))
    .description("revoke an API token or a registration token at once, by its id")
    .addHelpText("after", "\nExample:\n  berth token revoke tok_…")
    .action(async (id: string, options: WithServer) => {
      const { api } = await connect(context, options);
      await revokeToken(api, id);
      context.console.out(`${id} is revoked.`);
    });
}
