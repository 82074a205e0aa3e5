import { closeSync, existsSync, lchownSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readControlFile } from "./control-file.ts";
import { CTL } from "./shim.ts";

/*
 * The agent's half of the control folder. All of it is synchronous: these are single system calls on local files of a
 * few bytes, which take less time than a trip to the thread pool.
 */

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface CancelIntent {
  readonly graceMs: number;
  /** A word of lower-case letters and hyphens, at most 32 characters: it comes back in the record. */
  readonly reason: string;
}

/** Makes the control folder, for the user that the shim runs as. Safe to repeat. */
export function makeControlFolder(ctl: string, owner: Owner | null = null): void {
  for (const folder of [ctl, join(ctl, CTL.end)]) {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    if (owner !== null) lchownSync(folder, owner.uid, owner.gid);
  }
}

/** Lets a held shim go on; or the next one that starts, without any wait. Safe to repeat. */
export function sayGo(ctl: string): void {
  try {
    // Exclusively, which does not follow a link that user code may have put there.
    closeSync(openSync(join(ctl, CTL.go), "wx", 0o644));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** Whether the word to go was given, so that user code may have run. */
export function wasToldToGo(ctl: string): boolean {
  return existsSync(join(ctl, CTL.go));
}

/** Whether a shim took this attempt: it started user code, or decided that none is started. */
export function wasClaimed(ctl: string): boolean {
  return existsSync(join(ctl, CTL.claim));
}

/** The main child's pid, in the shim's PID namespace; null until user code runs. */
export function readStarted(ctl: string): number | null {
  const pid = Number.parseInt(readControlFile(join(ctl, CTL.started)) ?? "", 10);
  return Number.isSafeInteger(pid) && pid > 0 ? pid : null;
}

/** What counters of a container stood at when user code began, each null where it is not known. */
export interface StartCounters {
  readonly cpuUs: number | null;
  readonly receivedBytes: number | null;
  readonly sentBytes: number | null;
}

/** Null until user code runs. */
export function readStartCounters(ctl: string): StartCounters | null {
  const counters = /^\d+\n(\d+|null) (\d+|null) (\d+|null)\n/.exec(readControlFile(join(ctl, CTL.started)) ?? "");
  if (counters === null) return null;
  const [cpuUs, receivedBytes, sentBytes] = counters.slice(1).map((text) => (text === "null" ? null : Number(text)));
  return { cpuUs: cpuUs!, receivedBytes: receivedBytes!, sentBytes: sentBytes! };
}

/**
 * Persists the intent to stop the attempt; from here on the shim ends it by itself, and no shim starts it. The first
 * reason stays, and of several graces the shortest counts. Returns what is in force now.
 */
export function writeCancel(ctl: string, intent: CancelIntent): CancelIntent {
  if (!/^[a-z-]{1,32}$/.test(intent.reason)) throw new TypeError(`not a reason for cancelling: ${intent.reason}`);
  const earlier = readCancel(ctl);
  if (earlier !== null && earlier.graceMs <= intent.graceMs) return earlier;
  const inForce = { graceMs: Math.max(0, Math.round(intent.graceMs)), reason: earlier?.reason ?? intent.reason };
  const draft = join(ctl, `${CTL.cancel}.${process.pid}`);
  rmSync(draft, { force: true, recursive: true });
  writeFileSync(draft, `${inForce.graceMs} ${inForce.reason}\n`, { flag: "wx", mode: 0o644 });
  renameSync(draft, join(ctl, CTL.cancel));
  return inForce;
}

export function readCancel(ctl: string): CancelIntent | null {
  const match = /^(\d{1,15}) ([a-z-]{1,32})$/m.exec(readControlFile(join(ctl, CTL.cancel)) ?? "");
  return match === null ? null : { graceMs: Number(match[1]), reason: match[2]! };
}
