import { readFileSync } from "node:fs";
import type { Stats } from "../execution-backend.ts";
import { knownFigures } from "../known-figures.ts";
import type { CgroupFolders } from "./cgroup-folders.ts";

/** What a container has used since it was made, from the files of its cgroup; null when that is gone. */
export function readCgroup(folders: CgroupFolders): Stats | null {
  const figures = folders.version === 1 ? readVersion1(folders) : readVersion2(folders.folder);
  return figures.cpuMs === undefined && figures.memoryBytes === undefined ? null : figures;
}

function readVersion1({ cpu, memory, pids, io }: Extract<CgroupFolders, { version: 1 }>): Stats {
  const blocks = readText(`${io}/blkio.throttle.io_service_bytes_recursive`);
  return knownFigures({
    cpuMs: nanoseconds(`${cpu}/cpuacct.usage`),
    memoryBytes: readNumber(`${memory}/memory.usage_in_bytes`),
    memoryPeakBytes: readNumber(`${memory}/memory.max_usage_in_bytes`),
    pids: processes(pids),
    readBytes: blocks === null ? null : sumOf(blocks, / Read (\d+)$/gm),
    writtenBytes: blocks === null ? null : sumOf(blocks, / Write (\d+)$/gm),
  });
}

function readVersion2(folder: string): Stats {
  const cpu = readText(`${folder}/cpu.stat`) ?? "";
  const blocks = readText(`${folder}/io.stat`);
  return knownFigures({
    cpuMs: microseconds(cpu, "usage_usec"),
    memoryBytes: readNumber(`${folder}/memory.current`),
    memoryPeakBytes: readNumber(`${folder}/memory.peak`),
    pids: processes(folder),
    readBytes: blocks === null ? null : sumOf(blocks, /\brbytes=(\d+)/g),
    writtenBytes: blocks === null ? null : sumOf(blocks, /\bwbytes=(\d+)/g),
  });
}

/** Without the shim, which is not the step's. Their peak is not: it counts what the engine started the container with. */
function processes(folder: string): number | null {
  const pids = readNumber(`${folder}/pids.current`);
  return pids === null ? null : Math.max(0, pids - 1);
}

function nanoseconds(path: string): number | null {
  const value = readNumber(path);
  return value === null ? null : value / 1e6;
}

function microseconds(text: string, name: string): number | null {
  const value = new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1];
  return value === undefined ? null : Number(value) / 1000;
}

/** Over all disks. */
function sumOf(text: string, figure: RegExp): number {
  return [...text.matchAll(figure)].reduce((sum, [, value]) => sum + Number(value), 0);
}

function readNumber(path: string): number | null {
  const value = Number(readText(path)?.trim() || Number.NaN);
  return Number.isFinite(value) ? value : null;
}

/** Null when it is not there, or went away while it was read. */
function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
