import { createReadStream } from "node:fs";
import type { Logger } from "pino";
import type { LeaseRef } from "../../protocol/agent-api.ts";
import { BerthError } from "../../protocol/errors.ts";
import { UPLOAD_MIN_BYTES, type UploadState } from "../../protocol/transfers.ts";
import type { BlobFetcher } from "../../runtime/blob-fetcher.ts";
import { type LocalFile, type UploadCalls, uploadThroughServer } from "../../runtime/upload-through-server.ts";
import { Permits } from "../../std/permits.ts";
import { SingleFlight } from "../../std/single-flight.ts";
import type { AgentClient } from "../agent-client.ts";
import { retrying } from "../retry.ts";
import { DirectHealth } from "./direct-health.ts";
import { directRanges } from "./direct-ranges.ts";
import { uploadDirectly } from "./direct-upload.ts";
import { StoreConnections, StoreRefusal } from "./store-request.ts";
import { streamBlob } from "./stream-blob.ts";

/** Read ahead of the network, for each upload under way. */
const READ_BYTES = 1024 * 1024;

export interface TransfersOptions {
  readonly client: AgentClient;
  readonly uploadsAtOnce: number;
  readonly partsAtOnce: number;
  readonly log: Logger;
}

/** What one run is allowed to move, and until when. */
export interface TransferLease {
  readonly lease: LeaseRef;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Moves blobs between this worker and the data store, for all runs: directly where the store can, else through the server. */
export class Transfers implements Disposable {
  readonly #client: AgentClient;
  readonly #uploads: Permits;
  readonly #parts: Permits;
  readonly #connections = new StoreConnections();
  readonly #health: DirectHealth;
  /** The same blob of several runs is sent once. */
  readonly #sending = new SingleFlight<void>();

  constructor({ client, uploadsAtOnce, partsAtOnce, log }: TransfersOptions) {
    this.#client = client;
    this.#uploads = new Permits(uploadsAtOnce);
    this.#parts = new Permits(partsAtOnce);
    this.#health = new DirectHealth(log);
  }

  /** Uploads at once, over all runs. */
  get uploadPermits(): Permits {
    return this.#uploads;
  }

  /** Sends a blob that the server does not hold; resolves when it does. */
  async send(blob: LocalFile, lease: TransferLease): Promise<void> {
    using _permit = await this.#uploads.acquire();
    lease.signal.throwIfAborted();
    if (blob.size < UPLOAD_MIN_BYTES) return await this.#sendWhole(blob, lease);
    for (;;) {
      const joins = this.#sending.has(blob.digest);
      try {
        return await this.#sending.run(
          blob.digest,
          async (signal) => await this.#sendLarge(blob, { ...lease, signal: AbortSignal.any([signal, lease.signal]) }),
          lease.signal,
        );
      } catch (error) {
        // Another run's upload failed, perhaps because of its own lease: that says nothing about ours.
        if (!joins || lease.signal.aborted) throw error;
      }
    }
  }

  /** Where a run's missing blobs come from. */
  fetcher({ lease, signal, log }: TransferLease): BlobFetcher {
    const client = this.#client;
    const during = (abort: AbortSignal) => ({ lease, log, signal: AbortSignal.any([abort, signal]) });
    return Object.assign(
      (digest: string, _size: number | null, abort: AbortSignal, from: number) =>
        streamBlob(client, digest, from, during(abort)),
      {
        ranges: (digest: string, size: number, abort: AbortSignal) =>
          directRanges({
            ...{ client, digest, size, ...during(abort) },
            ...{ connections: this.#connections, permits: this.#parts, health: this.#health },
          }),
      },
    );
  }

  [Symbol.dispose](): void {
    this.#connections[Symbol.dispose]();
  }

  async #sendLarge(blob: LocalFile, lease: TransferLease): Promise<void> {
    if (this.#health.isUsable && (await this.#sendDirectly(blob, lease))) return;
    const { signal, log } = lease;
    const what = "uploading an output";
    const state = await uploadThroughServer(blob, this.#calls(blob, lease, "server"), {
      retrying: (work) => retrying({ what, signal, log }, work),
    });
    if (state.way === "single") await this.#sendWhole(blob, lease);
    else if (state.way === "direct") throw new BerthError("internal", "the server asked for a direct upload again");
  }

  /** False where that is not the way, or does not work from here. */
  async #sendDirectly(blob: LocalFile, lease: TransferLease): Promise<boolean> {
    const { signal, log } = lease;
    const { run, epoch } = lease.lease;
    const calls = this.#calls(blob, lease, "any");
    const again = <T>(work: () => Promise<T>) => retrying({ what: "uploading an output", signal, log }, work);
    const state = await again(async (): Promise<UploadState> => {
      const begun = await calls.begin();
      if (begun.way !== "direct") return begun;
      const parts = await uploadDirectly(blob, begun, {
        connections: this.#connections,
        permits: this.#parts,
        signal,
        request: (upload, part) => again(() => this.#client.partRequest(run, epoch, upload, part, signal)),
      }).catch(beginAgain);
      await this.#client.finishUpload(run, epoch, begun.upload, parts, signal).catch(beginAgain);
      return { way: "stored" };
    }).catch((error: unknown) => {
      if (!(error instanceof StoreRefusal)) throw error;
      this.#health.failed(error);
      return null;
    });
    return state?.way === "stored";
  }

  #calls({ digest, size }: LocalFile, { lease, signal }: TransferLease, via: "any" | "server"): UploadCalls {
    const { run, epoch } = lease;
    return {
      begin: () => this.#client.beginUpload(run, epoch, { digest, size, via }, signal),
      append: (upload, offset, length, bytes) =>
        this.#client.appendUpload(run, epoch, { upload, offset, length, bytes }, signal),
      finish: (upload) => this.#client.finishUpload(run, epoch, upload, [], signal),
    };
  }

  async #sendWhole({ path, digest, size }: LocalFile, { lease, signal, log }: TransferLease): Promise<void> {
    await retrying({ what: "uploading an output", signal, log }, async () => {
      const bytes = createReadStream(path, { highWaterMark: READ_BYTES });
      try {
        await this.#client.putBlob(lease.run, lease.epoch, { digest, size, bytes }, signal);
      } finally {
        bytes.destroy();
      }
    });
  }
}

/** What the store has is not what was sent, or the upload is no more: to begin it again says what is to be sent. */
function beginAgain(error: unknown): never {
  const codes: readonly unknown[] = ["sequence_gap", "not_found", "conflict"];
  const isElsewhere = error instanceof BerthError && codes.includes(error.code);
  throw isElsewhere ? new BerthError("unavailable", error.message, { cause: error }) : error;
}
