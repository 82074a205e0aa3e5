import type { Stats } from "../execution-backend.ts";
import { readMemoryBytes, readProcessUse } from "./proc.ts";

/** CPU time and memory of whole process trees, by name of the attempt; `roots` are the pids of the shims. */
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
  return { cpuMs: sum((pid) => processes.get(pid)?.cpuMs ?? 0), memoryBytes: sum(readMemoryBytes) };
}
