import { readFileSync } from "node:fs";
import type { Stats } from "../execution-backend.ts";

/** CPU and memory of the container whose first process this is, from its cgroup's files; null when it is gone. */
export function readContainerStats(pid: number): Stats | null {
  const groups = readText(`/proc/${pid}/cgroup`);
  if (groups === null) return null;
  const unified = /^0::(\/.+)$/m.exec(groups)?.[1];
  const memory = pathOf(groups, "memory");
  const cpu = pathOf(groups, "cpuacct");
  if (memory === null && cpu === null && unified !== undefined) return readVersion2(`/sys/fs/cgroup${unified}`);
  return collect({
    cpuMs: scaled(readNumber(`/sys/fs/cgroup/cpuacct${cpu}/cpuacct.usage`), 1e-6),
    memoryBytes: readNumber(`/sys/fs/cgroup/memory${memory}/memory.usage_in_bytes`),
    memoryPeakBytes: readNumber(`/sys/fs/cgroup/memory${memory}/memory.max_usage_in_bytes`),
  });
}

function readVersion2(folder: string): Stats | null {
  const usage = /^usage_usec (\d+)$/m.exec(readText(`${folder}/cpu.stat`) ?? "")?.[1];
  return collect({
    cpuMs: usage === undefined ? null : Number(usage) / 1000,
    memoryBytes: readNumber(`${folder}/memory.current`),
    memoryPeakBytes: readNumber(`${folder}/memory.peak`),
  });
}

/** The path of a version 1 controller in `/proc/PID/cgroup`, whose lines read `4:cpu,cpuacct:/docker/<id>`. */
function pathOf(groups: string, controller: string): string | null {
  for (const line of groups.split("\n")) {
    const [, controllers, ...path] = line.split(":");
    if (controllers?.split(",").includes(controller) === true) return path.join(":");
  }
  return null;
}

function collect(figures: { readonly [Name in keyof Stats]: number | null }): Stats | null {
  const known = Object.entries(figures).filter(([, value]) => value !== null);
  return known.length === 0 ? null : Object.fromEntries(known);
}

function scaled(value: number | null, factor: number): number | null {
  return value === null ? null : value * factor;
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
