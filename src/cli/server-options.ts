import type { Command } from "commander";
import type { ServerChoice } from "./platform/configured-endpoint.ts";

/** The options of every command that talks to a server. */
export function withServerOptions(command: Command): Command {
  return command
    .option("--server <url>", "server to use (BERTH_SERVER)")
    .option("--token <token>", "API token for it (BERTH_TOKEN)");
}

export type WithServer<T = object> = T & ServerChoice;
