import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { tryLock } from "../../std/file-lock.ts";
import { homeFiles, readIfPresent } from "./home.ts";

/** What a supervisor says of itself in up.json. */
export const SupervisorInfo = z.object({ pid: z.int().positive(), background: z.boolean() });
export type SupervisorInfo = z.infer<typeof SupervisorInfo>;

export function writeSupervisorInfo(home: string, info: SupervisorInfo): void {
  const file = homeFiles(home).supervisor;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, `${JSON.stringify(info)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** What a supervisor does that ends because it was asked to: one that is killed leaves its file behind. */
export function removeSupervisorInfo(home: string): void {
  rmSync(homeFiles(home).supervisor, { force: true });
}

/** Whether the last supervisor of this home ended because it was asked to; only of use while none runs. */
export function wasStopped(home: string): boolean {
  return !existsSync(homeFiles(home).supervisor);
}

/** The supervisor that runs for this home, or null. The lock says whether one does, the file only which. */
export function runningSupervisor(home: string): SupervisorInfo | null {
  const files = homeFiles(home);
  const text = readIfPresent(files.supervisor);
  if (text === null || !isLocked(files.supervisorLock)) return null;
  const parsed = SupervisorInfo.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : null;
}

/** Whether another process holds the lock. */
export function isLocked(file: string): boolean {
  const lock = tryLock(file);
  lock?.[Symbol.dispose]();
  return lock === null;
}
