import { readFileSync } from "node:fs";
import type { Logger } from "pino";
import type { LeaseRef } from "../protocol/agent-api.ts";
import type { Content } from "../protocol/artifacts.ts";
import { BATCHED_BLOB_MAX_BYTES } from "../protocol/blob-batch.ts";
import type { CancelFacts } from "../protocol/cancel.ts";
import type { BerthError } from "../protocol/errors.ts";
import type { AgentEvent, AgentEventBody } from "../protocol/events.ts";
import type { BlobSource } from "../runtime/attempt-work.ts";
import type { BlobCache } from "../runtime/blob-cache.ts";
import { blobsOf, type OwnBlob } from "../runtime/folder-manifest.ts";
import type { AgentClient } from "./agent-client.ts";
import { BulkUploads } from "./bulk-uploads.ts";
import { Commits, isInline } from "./commits.ts";
import type { Journal } from "./journal.ts";
import type { KnownSecrets } from "./known-secrets.ts";
import { LogShipper } from "./log-shipper.ts";
import { MessageShipper, type MessageShipperOptions } from "./message-shipper.ts";
import { Outbox } from "./outbox.ts";
import { retrying } from "./retry.ts";
import type { Transfers } from "./transfers/transfers.ts";
import { type LocalBlob, Uploads } from "./uploads.ts";
import { UsageShipper } from "./usage-shipper.ts";

/** From here on, blobs that become due together are sent in batches. */
const BULK_MIN_BLOBS = 8;

export interface RunLinkOptions {
  readonly lease: LeaseRef;
  readonly client: AgentClient;
  readonly cache: BlobCache;
  readonly transfers: Transfers;
  readonly journal: Journal;
  readonly secrets: KnownSecrets;
  readonly lastSeq: number;
  readonly pending: readonly AgentEvent[];
  onCancel(facts: CancelFacts): void;
  /** The server refused for good what this run reports. */
  onRefused(error: BerthError): void;
  readonly log: Logger;
}

/** All that one run exchanges with the server: events, logs and blobs, until it is closed. */
export class RunLink implements Disposable {
  readonly outbox: Outbox;
  readonly shipper: LogShipper;
  readonly messages: MessageShipper;
  readonly usage: UsageShipper;
  readonly commits: Commits;
  /** The worker's cache, fetching what is missing under this run's lease. */
  readonly source: BlobSource;
  readonly #options: RunLinkOptions;
  readonly #uploads: Uploads;
  readonly #bulk: BulkUploads;
  /** Blobs of contents, while they are being listed. */
  readonly #listed = new Map<string, Promise<OwnBlob[]>>();
  readonly #closed = new AbortController();
  readonly #holds: Disposable[] = [];

  constructor(options: RunLinkOptions) {
    this.#options = options;
    const { client, lease, cache, journal, log } = options;
    const { run, epoch } = lease;
    const signal = this.#closed.signal;
    const onRefused = (error: BerthError) => options.onRefused(error);
    const { transfers } = options;
    const uploads = { client, run, epoch, permits: transfers.uploadPermits, signal, log };
    this.#uploads = new Uploads({ ...uploads, send: (blob) => transfers.send(blob, { lease, signal, log }) });
    this.#bulk = new BulkUploads({ ...uploads, pathOf: (blob) => this.#local(blob).path });
    this.source = cache.sourceOf(transfers.fetcher({ lease, signal, log }), (digests, abort) => {
      const either = AbortSignal.any([abort, signal]);
      return retrying({ what: "fetching the files of an input", signal: either, log }, () =>
        client.getBlobs(run, epoch, digests, either),
      );
    });
    this.commits = new Commits({
      upload: (outputs) => this.#upload(outputs),
      onFailure: (error) => {
        if (!signal.aborted) onRefused(error as BerthError);
      },
    });
    this.outbox = new Outbox({
      epoch,
      journal,
      mask: options.secrets.mask,
      lastSeq: options.lastSeq,
      pending: options.pending,
      send: (request, abort) => client.sendEvents(run, request, abort),
      complete: (body) => this.#inlineBlobs(body),
      restore: (digests, bodies) => this.#restore(digests, bodies),
      onCancel: options.onCancel,
      onRefused,
      signal,
      log,
    });
    this.shipper = new LogShipper({
      epoch,
      send: (body, abort) => client.sendLogs(run, body, abort),
      journalAcked: (acked) => {
        try {
          journal.append({ type: "logs", acked });
        } catch (error) {
          // Only costs that these bytes are sent once more after a crash.
          log.debug({ err: error }, "acknowledged log offsets were not journaled");
        }
      },
      onRefused,
      signal,
      log,
    });
    const send: MessageShipperOptions["send"] = (request, abort) => client.sendMessages(run, request, abort);
    this.messages = new MessageShipper({ epoch, mask: options.secrets.mask, send, signal, log });
    this.usage = new UsageShipper({ epoch, send, signal, log });
  }

  /** Aborted once the link is closed. */
  get signal(): AbortSignal {
    return this.#closed.signal;
  }

  /**
   * Keeps outputs on this worker until the link is closed: until they are uploaded this is the only copy, and after
   * that the next steps of the run find them here.
   */
  hold(contents: readonly Content[]): void {
    const files = contents.filter(({ kind }) => kind === "file");
    if (files.length > 0) this.#holdAll(files.map(({ digest }) => digest));
    for (const folder of contents.filter(({ kind }) => kind === "folder")) {
      this.#blobsOf(folder).then(
        (blobs) => this.#holdAll(blobs.map(({ digest }) => digest)),
        (error: unknown) =>
          this.#options.log.warn({ err: error, digest: folder.digest }, "an output could not be held"),
      );
    }
  }

  #holdAll(digests: readonly string[]): void {
    if (!this.signal.aborted) this.#holds.push(this.#options.cache.hold(digests));
  }

  /** Stops every exchange; what was not acknowledged stays in the journal. */
  [Symbol.dispose](): void {
    this.#closed.abort(new Error("the run's link to the server was closed"));
    for (const hold of this.#holds.splice(0)) hold[Symbol.dispose]();
  }

  async #upload(outputs: readonly Content[]): Promise<void> {
    const blobs = (await Promise.all(outputs.map((content) => this.#blobsOf(content)))).flat();
    await this.#ensureStored(blobs);
  }

  /** A large manifest is read once for those that ask at the same time: who holds its blobs, and who sends them. */
  #blobsOf(content: Content): Promise<OwnBlob[]> {
    const known = this.#listed.get(content.digest);
    if (known !== undefined) return known;
    const listed = blobsOf(this.source, content).finally(() => this.#listed.delete(content.digest));
    this.#listed.set(content.digest, listed);
    return listed;
  }

  /** What is many and small goes together, anything else by itself. */
  async #ensureStored(blobs: readonly OwnBlob[]): Promise<void> {
    const isBulk = ({ size }: OwnBlob) => blobs.length >= BULK_MIN_BLOBS && size <= BATCHED_BLOB_MAX_BYTES;
    const alone = blobs.filter((blob) => !isBulk(blob)).map((blob) => this.#local(blob));
    await Promise.all([this.#bulk.ensureStored(blobs.filter(isBulk)), this.#uploads.ensureStored(alone)]);
  }

  /** Uploads again what the server misses of these events' outputs. */
  async #restore(digests: readonly string[], bodies: readonly AgentEventBody[]): Promise<void> {
    this.#uploads.forget(digests);
    this.#bulk.forget(digests);
    const contents = bodies
      .flatMap((body) => (body.type === "attempt.finished" ? body.outputs : []))
      .map(({ content }) => content);
    const blobs = (await Promise.all(contents.map((content) => blobsOf(this.source, content)))).flat();
    const wanted = new Set(digests);
    const missing = new Map(blobs.filter(({ digest }) => wanted.has(digest)).map((blob) => [blob.digest, blob]));
    await this.#ensureStored([...missing.values()]);
  }

  #local({ digest, size }: { readonly digest: string; readonly size: number }): LocalBlob {
    const path = this.#options.cache.find(digest, size);
    if (path === null) throw new Error(`the blob ${digest} is not in this worker's cache any more`);
    return { digest, size, path };
  }

  /** Small blobs are read from the cache each time the event is sent, so that a long queue holds no bytes. */
  #inlineBlobs(body: AgentEventBody): AgentEventBody {
    if (body.type !== "attempt.finished" || body.outputs.length === 0) return body;
    const outputs = body.outputs.map((output) => {
      if (!isInline(output.content)) return output;
      const path = this.#options.cache.find(output.content.digest, output.content.size);
      return path === null ? output : { ...output, inline: readFileSync(path).toString("base64") };
    });
    return { ...body, outputs };
  }
}
