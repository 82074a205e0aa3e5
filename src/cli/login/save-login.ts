import { renameSync, rmSync, writeFileSync } from "node:fs";
import { usageError } from "../cli-error.ts";
import { type ConfiguredEndpoint, readConfigFile } from "../platform/configured-endpoint.ts";
import { homeFiles } from "../platform/home.ts";

/** A login takes the place of an earlier one with the same server, and of nothing else that somebody wrote down. */
export function requireReplaceable(home: string, server: string): void {
  const known = readConfigFile(home);
  if (known === null || known.server === server) return;
  const { config } = homeFiles(home);
  throw usageError(`${config} is for another server: ${known.server}.`, "Move it away, or set BERTH_HOME.");
}

/** Makes it the server of the commands that follow. Only the user of this machine may read it. */
export function saveLogin(home: string, { url, trust }: ConfiguredEndpoint, token: string): void {
  const { config } = homeFiles(home);
  const temporary = `${config}.new`;
  rmSync(temporary, { force: true });
  writeFileSync(temporary, `${JSON.stringify({ server: url, token, ...trust }, null, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, config);
}

export function forgetLogin(home: string, server: string): void {
  if (readConfigFile(home)?.server === server) rmSync(homeFiles(home).config);
}
