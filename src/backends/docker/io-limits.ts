import type { AttemptSpec } from "../execution-backend.ts";
import { diskOf } from "./block-devices.ts";
import type { EngineInfo } from "./engine-types.ts";

/** Which disks a step's transfers can be held back on. */
export interface IoSupport {
  readonly devices: readonly string[];
  /** Why reads, or writes, cannot be; null where they can. */
  readonly noReads: string | null;
  readonly noWrites: string | null;
}

/** The disks that hold images and layers, and what attempts write. */
export function ioSupport({ DockerRootDir, CgroupVersion = "1" }: EngineInfo, stateFolder: string): IoSupport {
  const disks = [DockerRootDir, stateFolder].map((folder) => diskOf(folder));
  const why = disks.find((disk) => "why" in disk)?.why ?? null;
  const devices = disks.flatMap((disk) => ("device" in disk ? [disk.device] : []));
  return {
    devices: [...new Set(devices)],
    noReads: why,
    // There the kernel does most of the writing later and in its own name.
    noWrites:
      why ?? (CgroupVersion === "1" ? "cgroup version 1 does not hold back writes through the page cache" : null),
  };
}

/** What of a spec's limits cannot be kept. */
export function ioProblems(
  { limits: { io } }: AttemptSpec,
  support: IoSupport | null,
): { path: string; why: string }[] {
  if (io === undefined || support === null) return [];
  const problem = (asked: number | null, why: string | null, name: string) =>
    asked === null || why === null
      ? []
      : [{ path: `limits.io.${name}`, why: `Docker cannot hold back ${name}s: ${why}.` }];
  return [
    ...problem(io.readBytesPerSecond, support.noReads, "read"),
    ...problem(io.writeBytesPerSecond, support.noWrites, "write"),
  ];
}

/** The part of a container's configuration that holds its transfers back. */
export function ioLimits({ limits: { io } }: AttemptSpec, devices: readonly string[]): object {
  const rates = (rate: number | null | undefined) =>
    rate == null ? [] : devices.map((Path) => ({ Path, Rate: rate }));
  const [reads, writes] = [rates(io?.readBytesPerSecond), rates(io?.writeBytesPerSecond)];
  return {
    ...(reads.length === 0 ? {} : { BlkioDeviceReadBps: reads }),
    ...(writes.length === 0 ? {} : { BlkioDeviceWriteBps: writes }),
  };
}

/** An engine whose kernel cannot do it makes the container without, and says so in a warning: that is not to be lost. */
export function refusedIo(warnings: readonly string[] | null | undefined): string | null {
  return warnings?.find((warning) => /block i\/o|blkio/i.test(warning)) ?? null;
}
