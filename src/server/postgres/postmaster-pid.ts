import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import { processStart } from "../process-identity.ts";

/** What PostgreSQL writes into `postmaster.pid` of its data folder. */
export interface PostmasterPid {
  readonly pid: number;
  readonly port: number;
  /** Whether it accepts connections. */
  readonly ready: boolean;
}

/** Null when the file is missing or not complete yet. */
export function readPostmasterPid(dataFolder: string): PostmasterPid | null {
  let lines: string[];
  try {
    lines = readFileSync(join(dataFolder, "postmaster.pid"), "utf8").split("\n");
  } catch {
    return null;
  }
  const [pid, port] = [Number(lines[0]), Number(lines[3])];
  if (!(pid > 0) || !(port > 0)) return null;
  return { pid, port, ready: lines[7]?.trim() === "ready" };
}

/** Whether this process lives and works in this data folder; an id alone may be anybody's after a restart. */
export function worksIn(pid: number, dataFolder: string): boolean {
  if (processStart(pid) === null) return false;
  if (process.platform !== "linux") {
    const command = spawnSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" }).stdout ?? "";
    return command.includes("postgres") && command.includes(dataFolder);
  }
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(dataFolder);
  } catch {
    return false;
  }
}

/**
 * Removes a `postmaster.pid` whose process id now belongs to somebody else, or to a zombie that nobody reaps (as in a
 * container without an init): PostgreSQL would take either for another server of its own and refuse to start. Left
 * alone as long as any process works in the data folder.
 */
export function clearRecycledPid(dataFolder: string): void {
  const found = readPostmasterPid(dataFolder);
  if (found === null || process.platform !== "linux") return;
  // Of an id that nobody has PostgreSQL knows itself what to do.
  if (!existsSync(`/proc/${found.pid}`)) return;
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  if (pids.some((pid) => worksIn(Number(pid), dataFolder))) return;
  rmSync(join(dataFolder, "postmaster.pid"), { force: true });
}
