import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import type { ByteRange, ObjectStore } from "../objects/object-store.ts";
import {
  type BlobRow,
  findBlob,
  insertDatabaseBlob,
  insertObjectBlob,
  missingBlobs,
  readDatabaseBlob,
} from "./blob-rows.ts";
import type { BlobStore, OpenBlob } from "./blobs.ts";
import { announcedBytes, damaged, storedBytes } from "./checked-bytes.ts";
import type { Database } from "./database.ts";
import { faultyBlobs } from "./faulty-blobs.ts";

/** Below this a blob is a row, committed and backed up with everything else; from here on it is an object. */
export const OBJECT_TIER_MIN_BYTES = 10 * 1024 * 1024;

/** Small blobs in PostgreSQL, others in the object store; both behind one interface. */
export function tieredBlobStore({ pool }: Database, objects: ObjectStore): BlobStore {
  return {
    missing: async (project, digests) => await missingBlobs(pool, project, digests),
    put: async (project, digest, size, bytes) => {
      const checked = announcedBytes(digest, size, bytes instanceof Uint8Array ? [bytes] : bytes);
      if ((await findBlob(pool, project, digest)) !== null) return await readToEnd(checked);
      if (size < OBJECT_TIER_MIN_BYTES) {
        return await insertDatabaseBlob(pool, project, digest, await collect(checked, size));
      }
      // A crash between the two leaves an object that no row names: it is used by the next put of the same bytes.
      await objects.put(objectKey(project, digest), checked);
      await insertObjectBlob(pool, project, digest, size);
    },
    faulty: async (project, digests, hashedBytesMax) => {
      const stored = { store: objects, keyOf: (digest: string) => objectKey(project, digest) };
      return await faultyBlobs(pool, stored, project, { digests, hashedBytesMax });
    },
    open: async (project, digest, range) => {
      const row = await findBlob(pool, project, digest);
      if (row === null) return null;
      const source =
        row.tier === "object"
          ? await openObject(objects, project, digest, range)
          : await openRow(pool, project, digest, row, range);
      return { size: row.size, stream: source };
    },
  };
}

/** Two characters of the digest keep folders small. */
function objectKey(project: string, digest: string): string {
  return `blobs/${project}/${digest.slice(0, 2)}/${digest}`;
}

async function openObject(
  objects: ObjectStore,
  project: string,
  digest: string,
  range: ByteRange | undefined,
): Promise<OpenBlob["stream"]> {
  const opened = await objects.open(objectKey(project, digest), range);
  if (opened === null) throw damaged(digest);
  return range === undefined ? storedBytes(digest, opened.stream) : opened.stream;
}

async function openRow(
  pool: Database["pool"],
  project: string,
  digest: string,
  row: BlobRow,
  range: ByteRange | undefined,
): Promise<OpenBlob["stream"]> {
  const data = row.size === 0 ? Buffer.alloc(0) : await readDatabaseBlob(pool, project, digest, range);
  if (data === null) throw damaged(digest);
  if (range === undefined && createHash("sha256").update(data).digest("hex") !== digest) throw damaged(digest);
  return Readable.from(data.length === 0 ? [] : [data]);
}

async function collect(bytes: AsyncIterable<Uint8Array>, size: number): Promise<Buffer> {
  const whole = Buffer.allocUnsafe(size);
  let offset = 0;
  for await (const chunk of bytes) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}

async function readToEnd(bytes: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of bytes);
}
