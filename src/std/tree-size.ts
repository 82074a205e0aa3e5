import { type Dir, lstatSync, opendirSync, type Stats } from "node:fs";
import { join } from "node:path";
import { TimeSlice } from "./time-slice.ts";

export interface TreeSize {
  /** On the disk: a hole in a file takes none. */
  readonly bytes: number;
  /** Files, folders and all else that has a name. */
  readonly entries: number;
}

/** Names that are read at once: a folder may hold millions, and reading them must not hold up the event loop. */
const NAMES_AT_ONCE = 512;
/** As `stat` counts them, whatever the file system's own blocks are. */
const BLOCK_BYTES = 512;

/**
 * What lies below a path, itself included, without following links. Stops once either figure is above `most`: it is at
 * least that much then. What goes away meanwhile, or may not be looked into, is not counted; a file with several names
 * counts once.
 */
export async function treeSize(path: string, most: TreeSize): Promise<TreeSize> {
  const slice = new TimeSlice();
  const linked = new Set<string>();
  const folders: string[] = [];
  const found = { bytes: 0, entries: 0 };
  const take = (entry: string) => {
    const stat = statOf(entry);
    if (stat === null) return;
    found.entries += 1;
    if (stat.isDirectory()) folders.push(entry);
    else if (stat.nlink > 1) {
      const inode = `${stat.dev}:${stat.ino}`;
      if (linked.has(inode)) return;
      linked.add(inode);
    }
    found.bytes += stat.blocks * BLOCK_BYTES;
  };
  take(path);
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const name of namesIn(folder)) {
      take(join(folder, name));
      if (found.bytes > most.bytes || found.entries > most.entries) return found;
      await slice.breathe();
    }
  }
  return found;
}

function statOf(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}

function* namesIn(folder: string): Generator<string> {
  let opened: Dir | null = null;
  try {
    opened = opendirSync(folder, { bufferSize: NAMES_AT_ONCE });
    for (let entry = opened.readSync(); entry !== null; entry = opened.readSync()) yield entry.name;
  } catch {
    return;
  } finally {
    opened?.closeSync();
  }
}
