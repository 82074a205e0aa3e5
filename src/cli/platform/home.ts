import { accessSync, constants, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";

import { errnoOf } from "../../std/errno.ts";
import { makeFolder } from "../../std/make-folder.ts";
import { CliError } from "../cli-error.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Where everything of this installation lies that is not in the checkout: `BERTH_HOME`, by default `~/.berth`. */
export function berthHome(env: Environment): string {
  const configured = env.BERTH_HOME;
  return configured === undefined || configured === "" ? join(homedir(), ".berth") : resolve(configured);
}

/** Makes the home where there is none, and returns it; throws CliError when it cannot be used. */
export function makeHome(home: string): string {
  try {
    makeFolder(home);
    accessSync(join(home, "."), constants.W_OK | constants.X_OK);
    return home;
  } catch (error) {
    throw new CliError(`${home} cannot be used as Berth's home: ${(error as Error).message}`, {
      cause: error,
      advice: ["Set BERTH_HOME to a folder that you may write to."],
    });
  }
}

/** Files of the home folder that the CLI reads or writes. */
export function homeFiles(home: string) {
  return {
    /** `{ "server": …, "token": … }`: the server to use when no other is named. */
    config: join(home, "config.json"),
    /** Written by the embedded server: where it listens. */
    server: join(home, "server.json"),
    /** Written by the embedded server on its first start: full rights, for the user who owns the home. */
    adminToken: join(home, "admin-token"),
    /** Held by a server as long as it lives. */
    serverLock: join(home, "server.lock"),
    /** Held by the supervisor as long as it lives. */
    supervisorLock: join(home, "up.lock"),
    /** Written by the supervisor: its process id. Only to be trusted while the lock is held. */
    supervisor: join(home, "up.json"),
    /** The worker that `berth agent` registers and starts. */
    agent: join(home, "agent"),
    /** The worker that comes with the embedded platform. */
    localAgent: join(home, "local-agent"),
    /** Replays under way, and attempts' folders that were to be kept. */
    replays: join(home, "replays"),
    /** What replays read, so that it is fetched once. */
    replayCache: join(home, "replay-cache"),
    /** Certificates of servers that were pinned by their fingerprint. */
    trusted: join(home, "trusted"),
    logs: join(home, "logs"),
  } as const;
}

/** Text of a file, or null when there is none. */
export function readIfPresent(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return null;
    throw error;
  }
}
