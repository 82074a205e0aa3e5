import type { Stats } from "../execution-backend.ts";
import { knownFigures } from "../known-figures.ts";
import type { EngineStats } from "./engine-types.ts";

/** What a container has used, as the engine tells it; null of one that does not run, whose figures are all zero. */
export function engineFigures({ cpu_stats, memory_stats, pids_stats, blkio_stats }: EngineStats): Stats | null {
  const { total_usage } = cpu_stats.cpu_usage;
  if (total_usage === 0) return null;
  const blocks = blkio_stats.io_service_bytes_recursive;
  const bytes = (wanted: string) =>
    blocks?.filter(({ op }) => op.toLowerCase() === wanted).reduce((sum, { value }) => sum + value, 0);
  return knownFigures({
    cpuMs: total_usage / 1e6,
    memoryBytes: memory_stats.usage,
    memoryPeakBytes: memory_stats.max_usage,
    // Without the shim.
    pids: pids_stats.current === undefined ? null : Math.max(0, pids_stats.current - 1),
    readBytes: bytes("read"),
    writtenBytes: bytes("write"),
  });
}
