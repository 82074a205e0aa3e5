import type { Stats } from "../execution-backend.ts";
import { knownFigures } from "../known-figures.ts";
import { readDiskUse, readMemoryBytes, readProcessUse } from "./proc.ts";

/** What whole process trees use, by name of the attempt; `roots` are the pids of the shims. */
export function treeStats(roots: ReadonlyMap<string, number>): Map<string, Stats> {
  if (roots.size === 0) return new Map();
  const processes = readProcessUse();
  const children = Map.groupBy(processes.keys(), (pid) => processes.get(pid)!.parent);
  return new Map([...roots].map(([name, root]) => [name, sumUse(treeOf(root, children), processes)]));
}

function treeOf(root: number, children: ReadonlyMap<number, readonly number[]>): number[] {
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

function sumUse(tree: readonly number[], processes: ReturnType<typeof readProcessUse>): Stats {
  const sum = (of: (pid: number) => number): number => tree.reduce((total, pid) => total + of(pid), 0);
  const cpuUserMs = sum((pid) => processes.get(pid)?.cpuUserMs ?? 0);
  const cpuSystemMs = sum((pid) => processes.get(pid)?.cpuSystemMs ?? 0);
  const disk = tree.map(readDiskUse);
  return knownFigures({
    cpuMs: cpuUserMs + cpuSystemMs,
    cpuUserMs,
    cpuSystemMs,
    memoryBytes: sum(readMemoryBytes),
    // Without the shim.
    pids: tree.length - 1,
    readBytes: disk.reduce((total, use) => total + (use?.readBytes ?? 0), 0),
    writtenBytes: disk.reduce((total, use) => total + (use?.writtenBytes ?? 0), 0),
  });
}
