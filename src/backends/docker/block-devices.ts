import { readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** The whole disk that a folder lies on, such as `/dev/vda`; or why none can be named. */
export type FolderDisk = { readonly device: string } | { readonly why: string };

/**
 * Transfers are held back per disk, and the kernel takes whole ones only, not partitions. Folders of file systems that
 * span disks, or have none, lie on a number that no disk has.
 */
export function diskOf(folder: string, sys = "/sys"): FolderDisk {
  try {
    const { major, minor } = parts(statSync(folder).dev);
    return { device: deviceOf(`${major}:${minor}`, sys) };
  } catch (error) {
    return { why: `${folder} lies on no disk that the kernel can hold back (${(error as Error).message})` };
  }
}

/** The whole disk of a number, by its name below `/dev`. */
export function deviceOf(number: string, sys = "/sys"): string {
  const entry = realpathSync(join(sys, "dev/block", number));
  const disk = isPartition(entry) ? dirname(entry) : entry;
  return `/dev/${basename(disk).replaceAll("!", "/")}`;
}

function isPartition(entry: string): boolean {
  return /^DEVTYPE=partition$/m.test(readFileSync(join(entry, "uevent"), "utf8"));
}

/** As Linux puts them into one number. */
function parts(dev: number): { readonly major: number; readonly minor: number } {
  const number = BigInt(dev);
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xfffff000n);
  const minor = (number & 0xffn) | ((number >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}
