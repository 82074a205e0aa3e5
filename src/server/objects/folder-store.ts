import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { makeFolder } from "../../std/make-folder.ts";
import { folderError } from "./folder-errors.ts";
import { type Doing, folderWrites } from "./folder-writes.ts";
import { type ByteRange, checkKey, type ObjectStat, type ObjectStore, type OpenObject } from "./object-store.ts";
import { syncFolders } from "./sync-folders.ts";
import { writePieces } from "./write-pieces.ts";

const OBJECTS = "objects";
const UNFINISHED = "unfinished";
/** Writes of a network connection are small; the disk likes them larger. */
const WRITE_BUFFER_BYTES = 1024 * 1024;
const READ_BUFFER_BYTES = 256 * 1024;

/**
 * Objects as files:
 *
 *     objects/<key>        whole and durable
 *     unfinished/<uuid>    being written, in one go or several, or left by a crash
 *
 * Bytes are written and synced under a name of their own, and renamed into place. Several servers may share the folder
 * when its file system keeps renames atomic between machines, as NFS does.
 */
export function openFolderStore(folder: string): ObjectStore {
  const place = `folder ${folder}`;
  const doing = async <T>(attempted: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw folderError(error, place, attempted);
    }
  };
  try {
    for (const part of [OBJECTS, UNFINISHED]) makeFolder(join(folder, part));
  } catch (error) {
    throw folderError(error, place, "be made");
  }
  const pathOf = (key: string): string => {
    checkKey(key);
    return join(folder, OBJECTS, key);
  };
  return {
    place,
    direct: null,
    resumable: folderWrites(join(folder, UNFINISHED), pathOf, doing),
    check: async () => await doing("be used", async () => await checkFolder(folder)),
    put: async (key, bytes) => await putFile(join(folder, UNFINISHED, randomUUID()), pathOf(key), bytes, doing),
    open: async (key, range) => await doing("read an object", async () => await openFile(pathOf(key), range)),
    stat: async (key) => await doing("look for an object", async () => await statFile(pathOf(key), key)),
    delete: async (key) => await doing("delete an object", async () => await rm(pathOf(key), { force: true })),
    list: (prefix) => listFiles(join(folder, OBJECTS), prefix),
    collectUnfinished: async (olderThanMs) =>
      await doing("be tidied", async () => await collect(join(folder, UNFINISHED), olderThanMs)),
  };
}

async function checkFolder(folder: string): Promise<void> {
  await readdir(join(folder, OBJECTS));
  const probe = join(folder, UNFINISHED, randomUUID());
  try {
    await writeFile(probe, "Berth asks whether it may write here.", { flush: true });
    await readFile(probe);
  } finally {
    await rm(probe, { force: true });
  }
}

/** What the stream fails with is passed on as it is; what the folder fails with is not the stream's. */
async function putFile(
  temporary: string,
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  doing: Doing,
): Promise<number> {
  try {
    const size = await writeDurably(temporary, bytes, doing);
    await doing("name an object", async () => {
      const parent = dirname(path);
      const made = await mkdir(parent, { recursive: true, mode: 0o700 });
      await rename(temporary, path);
      await syncFolders(parent, made);
    });
    return size;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function writeDurably(path: string, bytes: AsyncIterable<Uint8Array>, doing: Doing): Promise<number> {
  await using file = await doing("store an object", async () => await open(path, "wx", 0o600));
  let size = 0;
  let gathered: Uint8Array[] = [];
  let gatheredBytes = 0;
  const flush = async () => {
    await doing("store an object", async () => {
      for await (const written of writePieces(file, gathered, size)) size += written.length;
    });
    gathered = [];
    gatheredBytes = 0;
  };
  for await (const chunk of bytes) {
    gathered.push(chunk);
    gatheredBytes += chunk.length;
    if (gatheredBytes >= WRITE_BUFFER_BYTES) await flush();
  }
  await flush();
  await doing("store an object", async () => await file.datasync());
  return size;
}

async function openFile(path: string, range: ByteRange | undefined): Promise<OpenObject | null> {
  const file = await orNull(open(path, "r"));
  if (file === null) return null;
  try {
    const { size } = await file.stat();
    const stream = file.createReadStream({ ...range, highWaterMark: READ_BUFFER_BYTES });
    return { size, stream };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function statFile(path: string, key: string): Promise<ObjectStat | null> {
  const found = await orNull(stat(path));
  return found?.isFile() ? { key, size: found.size, modifiedAt: found.mtime } : null;
}

async function* listFiles(root: string, prefix: string): AsyncIterable<ObjectStat> {
  if (prefix !== "") checkKey(prefix.slice(0, -1));
  const entries = await orNull(readdir(join(root, prefix), { withFileTypes: true }));
  for (const entry of entries ?? []) {
    const path = join(entry.parentPath, entry.name);
    const key = relative(root, path).split(sep).join("/");
    if (entry.isDirectory()) yield* listFiles(root, `${key}/`);
    else {
      const found = await statFile(path, key);
      if (found !== null) yield found;
    }
  }
}

async function collect(folder: string, olderThanMs: number): Promise<number> {
  let removed = 0;
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const found = await orNull(stat(path));
    if (found === null || Date.now() - found.mtimeMs < olderThanMs) continue;
    await rm(path, { force: true });
    removed++;
  }
  return removed;
}

async function orNull<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw error;
  }
}
