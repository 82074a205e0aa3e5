import { readdirSync, readFileSync } from "node:fs";

/*
 * Processes are recognised by what they run, never by their id alone: a shim's command line names the control folder
 * of its attempt, which no other process's does. This holds over pid reuse and over restarts of the machine, and it
 * is true from the instant of exec on, so that nothing has to be written down between starting and dying.
 */

/** The pid of each attempt's shim, by control folder. */
export function findShims(): ReadonlyMap<string, number> {
  const shims = new Map<string, number>();
  for (const pid of pids()) {
    const folder = shimFolder(pid);
    if (folder === null) continue;
    // Between fork and exec the step's process still looks like the shim that is its parent.
    const other = shims.get(folder);
    if (other === undefined || parentOf(pid) !== other) shims.set(folder, pid);
  }
  return shims;
}

/** Whether this process is the shim of this control folder. */
export function isShimOf(pid: number, controlFolder: string): boolean {
  return shimFolder(pid) === controlFolder;
}

/** Processes that were given this attempt folder by their environment: what a killed shim leaves behind. */
export function findStrays(folder: string): number[] {
  const variable = `BERTH_DIR=${folder}`;
  return pids().filter((pid) => readProc(pid, "environ")?.split("\0").includes(variable));
}

export interface ProcessUse {
  readonly parent: number;
  /** Of the process and of its children that were reaped. */
  readonly cpuUserMs: number;
  readonly cpuSystemMs: number;
}

/** The kernel reports times in hundredths of a second on every architecture. */
const MS_PER_TICK = 10;

/** Parent and CPU time of every process. */
export function readProcessUse(): Map<number, ProcessUse> {
  const processes = new Map<number, ProcessUse>();
  for (const pid of pids()) {
    const fields = readStat(pid);
    if (fields === null) continue;
    const ms = (own: number) => (Number(fields[own]) + Number(fields[own + 2])) * MS_PER_TICK;
    processes.set(pid, { parent: Number(fields[1]), cpuUserMs: ms(11), cpuSystemMs: ms(12) });
  }
  return processes;
}

/** Resident memory; 0 for a process that is gone. */
export function readMemoryBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readProc(pid, "status") ?? "");
  return match === null ? 0 : Number(match[1]) * 1024;
}

/** What a process, and its children that were reaped, moved from and to disks; null where that may not be seen. */
export function readDiskUse(pid: number): { readonly readBytes: number; readonly writtenBytes: number } | null {
  const text = readProc(pid, "io");
  if (text === null) return null;
  const figure = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, "m").exec(text)?.[1] ?? 0);
  return { readBytes: figure("read_bytes"), writtenBytes: figure("write_bytes") };
}

/** By file name and not by path: an updated agent finds the shims that the one before it started. */
const SHIM = /(^|\/)berth-shim-linux-[a-z0-9]+$/;

/** A zombie has an empty command line: it is no shim any more. */
function shimFolder(pid: number): string | null {
  const [program = "", folder, dashes] = readProc(pid, "cmdline")?.split("\0") ?? [];
  return SHIM.test(program) && dashes === "--" && folder !== undefined ? folder : null;
}

function pids(): number[] {
  return readdirSync("/proc").map(Number).filter(Number.isInteger);
}

function parentOf(pid: number): number | null {
  const fields = readStat(pid);
  return fields === null ? null : Number(fields[1]);
}

/** The fields of `stat` from the state on. */
function readStat(pid: number): string[] | null {
  const stat = readProc(pid, "stat");
  // The second field is the program's name in parentheses and may hold anything, even ")".
  return stat === null ? null : stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** Null when the process is gone, or is not ours to look at. */
function readProc(pid: number, file: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return null;
  }
}
