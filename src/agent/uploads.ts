import type { Logger } from "pino";
import type { Permits } from "../std/permits.ts";
import type { AgentClient } from "./agent-client.ts";
import { retrying } from "./retry.ts";

/** Attempts that end within this ask together which of their blobs are missing. */
const GATHER_MS = 5;
/** Digests per question; the protocol allows 10,000. */
const DIGESTS_PER_REQUEST = 5_000;

export interface LocalBlob {
  readonly digest: string;
  readonly size: number;
  readonly path: string;
}

export interface UploadOptions {
  readonly client: AgentClient;
  readonly run: string;
  readonly epoch: number;
  /** Shared by all runs of the agent: uploads at once. */
  readonly permits: Permits;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

export interface UploadsOptions extends Omit<UploadOptions, "permits"> {
  /** Sends one that the server does not hold; resolves when it does. */
  send(blob: LocalBlob): Promise<void>;
}

/** Brings the blobs of one run to the server: asks which are missing, and sends only those. */
export class Uploads {
  readonly #options: UploadsOptions;
  /** Blobs that the server holds, or will once the promise resolves: equal outputs are sent once. */
  readonly #stored = new Map<string, Promise<void>>();
  #gathering: { readonly blobs: Map<string, LocalBlob>; readonly missing: Promise<Set<string>> } | null = null;

  constructor(options: UploadsOptions) {
    this.#options = options;
  }

  /** Resolves when the server holds all of them. */
  async ensureStored(blobs: readonly LocalBlob[]): Promise<void> {
    await Promise.all(blobs.map((blob) => this.#ensure(blob)));
  }

  /** Forgets that these were stored: the server says that it does not hold them. */
  forget(digests: readonly string[]): void {
    for (const digest of digests) this.#stored.delete(digest);
  }

  #ensure(blob: LocalBlob): Promise<void> {
    const known = this.#stored.get(blob.digest);
    if (known !== undefined) return known;
    const stored = this.#store(blob);
    this.#stored.set(blob.digest, stored);
    stored.catch(() => this.#stored.delete(blob.digest));
    return stored;
  }

  async #store(blob: LocalBlob): Promise<void> {
    const missing = await this.#missingAmong(blob);
    if (!missing.has(blob.digest)) return;
    await this.#options.send(blob);
  }

  #missingAmong(blob: LocalBlob): Promise<Set<string>> {
    if (this.#gathering === null || this.#gathering.blobs.size >= DIGESTS_PER_REQUEST) {
      const blobs = new Map<string, LocalBlob>();
      this.#gathering = { blobs, missing: this.#ask(blobs) };
    }
    this.#gathering.blobs.set(blob.digest, blob);
    return this.#gathering.missing;
  }

  async #ask(blobs: ReadonlyMap<string, LocalBlob>): Promise<Set<string>> {
    await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
    if (this.#gathering?.blobs === blobs) this.#gathering = null;
    const { client, run, epoch, signal, log } = this.#options;
    const digests = [...blobs.keys()];
    return new Set(
      await retrying({ what: "asking for missing blobs", signal, log }, () =>
        client.missingBlobs(run, epoch, digests, signal),
      ),
    );
  }
}
