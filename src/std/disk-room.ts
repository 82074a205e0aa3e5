import { statfs } from "node:fs/promises";

/** What is free of a file system for an unprivileged user. */
export interface DiskRoom {
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** Of files and folders. Both 0 on file systems that have no fixed number of them. */
  readonly freeEntries: number;
  readonly totalEntries: number;
}

/** The file system that holds `folder`. */
export async function diskRoom(folder: string): Promise<DiskRoom> {
  const { bavail, blocks, bsize, ffree, files } = await statfs(folder);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize, freeEntries: ffree, totalEntries: files };
}
