import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BerthError } from "../../protocol/errors.ts";
import { EarlySync } from "./early-sync.ts";
import type { AppendedBytes, ResumableWrites } from "./resumable-writes.ts";
import { syncFolders } from "./sync-folders.ts";
import { writePieces } from "./write-pieces.ts";
import { wrongOffset } from "./wrong-offset.ts";

/** Writes of a network connection are small; the disk likes them larger. */
const WRITE_BUFFER_BYTES = 1024 * 1024;
const REFERENCE = /^[0-9a-f-]{36}$/;

/** Does what was attempted, and names the folder where it fails. */
export type Doing = <T>(attempted: string, work: () => Promise<T>) => Promise<T>;

const STORE = "store an object";

/** See ResumableWrites: a file among the unfinished ones that grows, and is renamed into place once it is synced. */
export function folderWrites(unfinished: string, pathOf: (key: string) => string, doing: Doing): ResumableWrites {
  const fileOf = (reference: string): string => {
    // It becomes a path: nothing but what `begin` made may.
    if (!REFERENCE.test(reference)) throw new Error(`${JSON.stringify(reference)} is no write of this store`);
    return join(unfinished, reference);
  };
  return {
    begin: async () => {
      const reference = randomUUID();
      await using _ = await doing(STORE, async () => await open(fileOf(reference), "wx", 0o600));
      return reference;
    },
    written: async (_key, reference) => await doing(STORE, async () => await sizeOf(fileOf(reference))),
    append: async (_key, reference, append) => {
      await using file = await doing(STORE, async () => await openUnfinished(fileOf(reference)));
      const { size } = await file.stat();
      if (size !== append.offset) throw wrongOffset(size);
      return await appendTo(file, append, doing);
    },
    finish: async (key, reference) =>
      await doing("name an object", async () => {
        await syncFile(fileOf(reference));
        const parent = dirname(pathOf(key));
        const made = await mkdir(parent, { recursive: true, mode: 0o700 });
        await rename(fileOf(reference), pathOf(key));
        await syncFolders(parent, made);
      }),
    abort: async (_key, reference) =>
      await doing("delete an object", async () => await rm(fileOf(reference), { force: true })),
  };
}

/**
 * Each write counts as soon as it was done, so that the length of the file is always what is kept: a file is never cut,
 * which could take away what another server has appended meanwhile. While one write is under way the next is gathered.
 */
async function appendTo(file: FileHandle, { offset, bytes, onKept }: AppendedBytes, doing: Doing): Promise<number> {
  let end = offset;
  const early = new EarlySync(file);
  // What the stream fails with is passed on as it is; what the folder fails with is not the stream's.
  const write = async (chunks: readonly Uint8Array[]) =>
    await doing(STORE, async () => {
      for await (const kept of writePieces(file, chunks, end)) {
        end += kept.length;
        onKept(kept);
        early.written(kept.length);
      }
    });
  let gathered: Uint8Array[] = [];
  let gatheredBytes = 0;
  let writing = Promise.resolve();
  try {
    for await (const chunk of bytes) {
      gathered.push(chunk);
      gatheredBytes += chunk.length;
      if (gatheredBytes < WRITE_BUFFER_BYTES) continue;
      await writing;
      writing = write(gathered);
      // It is awaited before the next write; until then nobody listens.
      writing.catch(() => {});
      gathered = [];
      gatheredBytes = 0;
    }
  } catch (error) {
    // What arrived before the line was cut need not travel again; a full disk says so at the next append.
    await writing.then(() => write(gathered)).catch(() => {});
    await early.settled().catch(() => {});
    throw error;
  }
  await writing;
  await write(gathered);
  await doing(STORE, () => early.settled());
  return end;
}

async function openUnfinished(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new BerthError("not_found", "There is no such unfinished upload any more.", { cause: error });
  }
}

async function syncFile(path: string): Promise<void> {
  await using file = await openUnfinished(path);
  await file.datasync();
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
