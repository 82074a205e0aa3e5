import type { Command } from "commander";
import type { ServerChoice } from "./platform/configured-endpoint.ts";

/** The options of every command that talks to a server. */
export function withServerOptions(command: Command): Command {
  return command
    .option("--server <url>", "server to use (BERTH_SERVER)")
    .option("--token <token>", "API token for it (BERTH_TOKEN)")
    .option("--ca-file <file>", "certificates in PEM that it is to be known by, in place of the usual (BERTH_CA_FILE)")
    .option("--ca-fingerprint <sha256>", "the same by the fingerprint that the server prints (BERTH_CA_FINGERPRINT)");
}

export type WithServer<T = object> = T & ServerChoice;
