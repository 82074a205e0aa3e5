import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import type { BlobWithBytes } from "../../protocol/blob-batch.ts";
import { forEachLimit } from "../../std/for-each-limit.ts";
import type { ByteRange } from "../objects/object-store.ts";
import { keyIn, type ObjectTiers, tierOf } from "../objects/object-tiers.ts";
import {
  type BlobRow,
  findBlob,
  insertDatabaseBlob,
  insertObjectBlob,
  missingBlobs,
  objectOf,
  readDatabaseBlob,
} from "./blob-rows.ts";
import type { BlobStore, OpenBlob } from "./blobs.ts";
import { announcedBytes, damaged, storedBytes } from "./checked-bytes.ts";
import { insertInlineBlobs } from "./commit-blobs.ts";
import type { Database } from "./database.ts";
import { faultyBlobs } from "./faulty-blobs.ts";
import { readSmallBlobs, requireOwnBytes } from "./small-blobs.ts";
import { touchBlobs } from "./unused-blobs.ts";

/** Objects of one batch of small blobs that are written at once, where even small ones are objects. */
const OBJECTS_AT_ONCE = 8;

/** Small blobs in PostgreSQL, larger ones in the object store of their size; all behind one interface. */
export function tieredBlobStore({ pool }: Database, objects: ObjectTiers): BlobStore {
  const put: BlobStore["put"] = async (project, digest, size, bytes) => {
    const checked = announcedBytes(digest, size, bytes instanceof Uint8Array ? [bytes] : bytes);
    if ((await findBlob(pool, project, digest)) !== null) {
      await readToEnd(checked);
      return await touchBlobs(pool, project, [digest]);
    }
    const tier = tierOf(objects, size);
    if (tier === "database") {
      return await insertDatabaseBlob(pool, project, digest, await collect(checked, size));
    }
    const objectKey = keyIn(objects, tier, project, digest);
    await objects[tier].put(objectKey, checked, size);
    // Of several uploads of one blob at once the first counts; the objects of the others are nobody's.
    const counts = await insertObjectBlob(pool, project, digest, { size, tier, objectKey });
    if (!counts) await objects[tier].delete(objectKey);
  };
  return {
    missing: async (project, digests) => {
      // What is asked for is about to be referred to.
      await touchBlobs(pool, project, digests);
      return await missingBlobs(pool, project, digests);
    },
    put,
    putSmall: async (project, batch) => {
      requireOwnBytes(batch);
      const isRow = ({ bytes }: BlobWithBytes) => tierOf(objects, bytes.length) === "database";
      const rows = batch.filter(isRow).map(({ digest, bytes }) => [digest, bytes] as const);
      await insertInlineBlobs(pool, project, new Map(rows));
      await touchBlobs(
        pool,
        project,
        rows.map(([digest]) => digest),
      );
      const others = batch.filter((blob) => !isRow(blob));
      await forEachLimit(others, OBJECTS_AT_ONCE, ({ digest, bytes }) => put(project, digest, bytes.length, bytes));
    },
    readSmall: async (project, digests, bytesMax) => await readSmallBlobs(pool, project, digests, bytesMax),
    faulty: async (project, digests, hashedBytesMax) =>
      await faultyBlobs(pool, objects, project, { digests, hashedBytesMax }),
    open: async (project, digest, range) => {
      const row = await findBlob(pool, project, digest);
      if (row === null) return null;
      const object = objectOf(objects, project, digest, row);
      const stream =
        object === null ? await openRow(pool, project, digest, row, range) : await openObject(object, digest, range);
      return { size: row.size, stream };
    },
  };
}

async function openObject(
  { store, key }: NonNullable<ReturnType<typeof objectOf>>,
  digest: string,
  range: ByteRange | undefined,
): Promise<OpenBlob["stream"]> {
  const opened = await store.open(key, range);
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
