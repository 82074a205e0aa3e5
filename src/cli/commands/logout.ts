import type { Command } from "commander";
import { endLogin } from "../api/login.ts";
import type { CliContext } from "../context.ts";
import { forgetLogin } from "../login/save-login.ts";
import { connect } from "../platform/connection.ts";
import { berthHome } from "../platform/home.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

/** `berth logout`: revokes the token that this command would use. */
export function define(command: Command, context: CliContext): void {
  withServerOptions(command)
    .addHelpText("after", "\nExample:\n  berth logout")
    .action(async (options: WithServer) => {
      const connection = await connect(context, options);
      await endLogin(connection.api);
      forgetLogin(berthHome(context.env), connection.api.server);
      context.console.out(`Logged out of ${connection.api.server}.`);
    });
}
