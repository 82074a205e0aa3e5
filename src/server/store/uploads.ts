import { createHash } from "node:crypto";
import type { Logger } from "pino";
import { BerthError } from "../../protocol/errors.ts";
import { newId } from "../../protocol/ids.ts";
import type { BeginUpload, BlobPlace, DirectRequest, PartToSend, UploadState } from "../../protocol/transfers.ts";
import { SingleFlight } from "../../std/single-flight.ts";
import type { DirectRequest as SignedRequest } from "../objects/direct-transfers.ts";
import type { ObjectStore } from "../objects/object-store.ts";
import { findStoreOf, keyIn, type ObjectTiers, tierOf } from "../objects/object-tiers.ts";
import { wrongOffset } from "../objects/wrong-offset.ts";
import { findBlob, insertObjectBlob, objectOf } from "./blob-rows.ts";
import type { Database } from "./database.ts";
import { completeDirect, isOneRequest, partBytesOf, partRequests, uploadedParts } from "./direct-uploads.ts";
import { touchBlobs } from "./unused-blobs.ts";
import { type Append, UploadAppends, unknownUpload } from "./upload-appends.ts";
import { UploadHashes } from "./upload-hashes.ts";
import {
  deleteUpload,
  findUpload,
  findUploadOf,
  insertUpload,
  type Sender,
  takeAbandoned,
  type UploadRow,
} from "./upload-rows.ts";

/** How long a signed request to the object store is good for: a part at 20 kB/s; the sender asks for another after that. */
const DIRECT_EXPIRES_MS = 15 * 60_000;
/** Abandoned uploads removed in one statement. */
const COLLECTED_AT_ONCE = 100;

export interface UploadsOptions {
  readonly database: Database;
  readonly objects: ObjectTiers;
  readonly log: Pick<Logger, "warn">;
  /** Default: a quarter of an hour. */
  readonly directExpiresMs?: number;
}

/**
 * Blobs that travel in several requests: see protocol/transfers.ts for the ways. What an upload needs is in its row and
 * in the store, so any replica goes on with what another began.
 */
export class Uploads {
  readonly #options: UploadsOptions;
  readonly #hashes = new UploadHashes();
  readonly #appends: UploadAppends;
  readonly #finishing = new SingleFlight<{ digest: string; size: number }>();

  constructor(options: UploadsOptions) {
    this.#options = options;
    this.#appends = new UploadAppends(options.database, this.#hashes);
  }

  /** Begins the upload of a blob, or goes on with the sender's unfinished one. */
  async begin(sender: Sender, wanted: BeginUpload): Promise<UploadState> {
    const { database, objects } = this.#options;
    const { digest, size, via } = wanted;
    if ((await findBlob(database.pool, sender.project, digest)) !== null) {
      // About to be referred to.
      await touchBlobs(database.pool, sender.project, [digest]);
      return { way: "stored" };
    }
    const tier = tierOf(objects, size);
    if (tier === "database") return { way: "single" };
    const known = await findUploadOf(database.pool, sender, digest);
    if (known !== null) {
      const fits = known.size === size && (via === "any" || known.way === "server");
      const state = fits ? await this.#stateOf(known) : null;
      if (state !== null) return state;
      await this.#drop(known);
    }
    return await this.#beginNew(sender, wanted, tier);
  }

  /** Where an upload is; throws `not_found` when there is no such one. */
  async state(sender: Sender, id: string): Promise<UploadState> {
    const state = await this.#stateOf(await this.#find(sender, id));
    if (state === null) throw unknownUpload();
    return state;
  }

  /** Returns where the upload is after it. */
  async append(sender: Sender, id: string, append: Append): Promise<number> {
    const upload = await this.#find(sender, id);
    if (upload.way !== "server") throw wrongWay(upload);
    return await this.#appends.append(upload, this.#storeOf(upload).resumable, append);
  }

  /** Requests that the object store itself answers, one for each part. */
  async requests(
    sender: Sender,
    id: string,
    parts: readonly PartToSend[],
  ): Promise<{ number: number; request: DirectRequest }[]> {
    const upload = await this.#find(sender, id);
    const { direct } = this.#storeOf(upload);
    if (upload.way !== "direct" || direct === null) throw wrongWay(upload);
    const signed = await partRequests(direct, upload, parts, this.#expiresInMs);
    return signed.map(({ number, request }) => ({ number, request: this.#answerOf(request) }));
  }

  /**
   * Checks that all of it is there and right, and names the blob. Asked again meanwhile, it is the same check; what is
   * found to be wrong is removed, and `digest_mismatch`.
   */
  async finish(sender: Sender, id: string, parts: readonly PartToSend[]): Promise<{ digest: string; size: number }> {
    const upload = await this.#find(sender, id);
    return await this.#finishing.run(id, async () => {
      await this.#appends.end(id);
      if (upload.way === "server") await this.#completeWritten(upload);
      else await this.#completeDirect(upload, parts);
      await this.#name(upload);
      return { digest: upload.digest, size: upload.size };
    });
  }

  /** Where a blob is read from; null when the project does not hold it. */
  async place(project: string, digest: string): Promise<BlobPlace | null> {
    const { database, objects } = this.#options;
    const row = await findBlob(database.pool, project, digest);
    if (row === null) return null;
    const object = objectOf(objects, project, digest, row);
    const direct = object?.store.direct ?? null;
    if (object === null || direct === null) return { way: "server", size: row.size };
    const request = await direct.readUrl(object.key, { expiresInMs: this.#expiresInMs });
    return { way: "direct", size: row.size, request: this.#answerOf(request) };
  }

  /** Removes what has not moved for this long; returns how many. */
  async collectUnfinished(olderThanMs: number): Promise<number> {
    let removed = 0;
    for (;;) {
      const abandoned = await takeAbandoned(this.#options.database.pool, olderThanMs, COLLECTED_AT_ONCE);
      for (const upload of abandoned) await this.#remove(upload);
      removed += abandoned.length;
      if (abandoned.length < COLLECTED_AT_ONCE) return removed;
    }
  }

  get #expiresInMs(): number {
    return this.#options.directExpiresMs ?? DIRECT_EXPIRES_MS;
  }

  async #find(sender: Sender, id: string): Promise<UploadRow> {
    const upload = await findUpload(this.#options.database.pool, sender, id);
    if (upload === null) throw unknownUpload();
    return upload;
  }

  /** Where it was begun, as long as that is configured. */
  #storeOf({ tier, objectKey }: Pick<UploadRow, "tier" | "objectKey">): ObjectStore {
    const { objects } = this.#options;
    return findStoreOf(objects, tier, objectKey) ?? objects[tier];
  }

  async #beginNew(sender: Sender, { digest, size, via }: BeginUpload, tier: UploadRow["tier"]): Promise<UploadState> {
    const store = this.#options.objects[tier];
    const objectKey = keyIn(this.#options.objects, tier, sender.project, digest);
    const direct = via === "any" ? store.direct : null;
    let upload: Omit<UploadRow, "project" | "appends">;
    const common = { id: newId("upload"), digest, size, tier, objectKey };
    if (direct !== null) {
      const partBytes = partBytesOf(direct, size);
      const reference = isOneRequest(direct, size, partBytes) ? null : await direct.beginParts(objectKey);
      upload = { ...common, way: "direct", reference, partBytes };
    } else {
      const reference = await store.resumable.begin(objectKey, size);
      upload = { ...common, way: "server", reference, partBytes: size };
    }
    const { database } = this.#options;
    const counts = await insertUpload(database.pool, sender, upload);
    const row = { ...upload, project: sender.project, appends: 0 };
    if (counts) return (await this.#stateOf(row)) ?? { way: "single" };
    // The same sender began it at the same time.
    await this.#remove(row);
    const other = await findUploadOf(database.pool, sender, digest);
    const state = other === null ? null : await this.#stateOf(other);
    if (state === null)
      throw new BerthError("unavailable", "The upload was begun and ended meanwhile; begin it again.");
    return state;
  }

  /** Null when the store has nothing of it any more. */
  async #stateOf(upload: UploadRow): Promise<UploadState | null> {
    const store = this.#storeOf(upload);
    const { id, objectKey, reference, partBytes, size } = upload;
    if (upload.way === "direct") {
      const parts = store.direct === null ? null : await uploadedParts(store.direct, upload);
      if (parts !== null) return { way: "direct", upload: id, partBytes, parts };
      if ((await store.stat(objectKey))?.size !== size) return null;
      // It was completed, for which it was checked, and the server ended before it could say so.
      await this.#name(upload);
      return { way: "stored" };
    }
    const written = await store.resumable.written(objectKey, reference!);
    if (written !== null) return { way: "server", upload: id, offset: written };
    return (await store.stat(objectKey))?.size === size ? { way: "server", upload: id, offset: size } : null;
  }

  async #completeWritten(upload: UploadRow): Promise<void> {
    const store = this.#storeOf(upload);
    const { objectKey, reference, size } = upload;
    const written = await store.resumable.written(objectKey, reference!);
    if (written !== null && written !== size) {
      throw wrongOffset(written);
    }
    const isMade = written !== null && (await this.#makeObject(store, objectKey, reference!));
    if (!isMade && (await store.stat(objectKey))?.size !== size) throw unknownUpload();
    const digest = this.#hashes.digestOf(upload.id, upload.appends, size) ?? (await digestOf(store, objectKey));
    if (digest === upload.digest) return;
    await this.#drop(upload);
    throw new BerthError(
      "digest_mismatch",
      `The upload has the SHA-256 ${digest}, not ${upload.digest}: it was removed.`,
      {
        advice: "Send the same file again; if this repeats, it changed since it was hashed.",
      },
    );
  }

  /** False where the store knows nothing of it (any more): another finish may have been faster, or its answer was lost. */
  async #makeObject(store: ObjectStore, key: string, reference: string): Promise<boolean> {
    try {
      await store.resumable.finish(key, reference);
      return true;
    } catch (error) {
      if (error instanceof BerthError && error.code === "not_found") return false;
      throw error;
    }
  }

  async #completeDirect(upload: UploadRow, parts: readonly PartToSend[]): Promise<void> {
    const store = this.#storeOf(upload);
    if (store.direct === null) throw wrongWay(upload);
    try {
      await completeDirect(store, store.direct, upload, parts);
    } catch (error) {
      if (error instanceof BerthError && error.code === "digest_mismatch") await this.#drop(upload);
      throw error;
    }
  }

  /** The commit: from here on the blob is there. */
  async #name({ id, project, digest, size, tier, objectKey }: UploadRow): Promise<void> {
    const counts = await this.#options.database.transaction(async (client) => {
      if (await deleteUpload(client, id))
        return await insertObjectBlob(client, project, digest, { size, tier, objectKey });
      // Another server was asked to finish the same, or to go on with it, and was faster: its object is the blob.
      if ((await findBlob(client, project, digest)) === null) throw unknownUpload();
      return true;
    });
    // Of several uploads of one blob the first counts.
    if (!counts) await this.#storeOf({ tier, objectKey }).delete(objectKey);
  }

  async #drop(upload: UploadRow): Promise<void> {
    await deleteUpload(this.#options.database.pool, upload.id);
    await this.#remove(upload);
  }

  /** What is left is removed by the store's own collection. */
  async #remove(upload: UploadRow): Promise<void> {
    const { id, way, objectKey, reference } = upload;
    this.#hashes.forget(id);
    const store = this.#storeOf(upload);
    try {
      if (reference !== null && way === "direct") await store.direct?.abortParts(objectKey, reference);
      if (reference !== null && way === "server") await store.resumable.abort(objectKey, reference);
      await store.delete(objectKey);
    } catch (error) {
      this.#options.log.warn({ err: error, upload: id }, "an unfinished upload could not be removed from its store");
    }
  }

  #answerOf({ method, url, headers, expiresAt }: SignedRequest): DirectRequest {
    return { method, url, headers: { ...headers }, expiresInMs: Math.max(0, expiresAt.getTime() - Date.now()) };
  }
}

async function digestOf(store: ObjectStore, key: string): Promise<string> {
  const object = await store.open(key);
  if (object === null) throw unknownUpload();
  const hash = createHash("sha256");
  for await (const chunk of object.stream) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

function wrongWay({ way }: UploadRow): BerthError {
  return new BerthError(
    "conflict",
    `This upload goes ${way === "direct" ? "directly to the object store" : "through the server"}.`,
  );
}
