import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { LeaseRef } from "../../protocol/agent-api.ts";
import { BerthError } from "../../protocol/errors.ts";
import type { BlobPlace, DirectRequest } from "../../protocol/transfers.ts";
import type { RangeReader } from "../../runtime/blob-fetcher.ts";
import type { Permits } from "../../std/permits.ts";
import type { AgentClient } from "../agent-client.ts";
import { backoffMs, retrying } from "../retry.ts";
import type { DirectHealth } from "./direct-health.ts";
import { type StoreConnections, StoreRefusal } from "./store-request.ts";

/** Tries of one range without a byte, before the store counts as not usable from here. */
const TRIES_MAX = 5;
/** A signed request is replaced when this little is left of its time. */
const RENEW_BEFORE_MS = 5_000;

export interface DirectRangesOptions {
  readonly client: AgentClient;
  readonly lease: LeaseRef;
  readonly digest: string;
  readonly size: number;
  readonly connections: StoreConnections;
  /** Parts at once, over all transfers of the agent. */
  readonly permits: Permits;
  readonly health: DirectHealth;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Reads a blob right from the object store; null where it comes through the server, or the store cannot be used. */
export async function directRanges(options: DirectRangesOptions): Promise<RangeReader | null> {
  const { client, digest, health, lease, permits, signal, log } = options;
  if (!health.isUsable) return null;
  const ask = () =>
    retrying({ what: "asking where an input is", signal, log }, () =>
      client.blobPlace(lease.run, lease.epoch, digest, signal),
    );
  const place = await ask();
  if (place.way !== "direct" || place.size !== options.size) return null;
  const requests = new ReadRequests(place, ask);
  return {
    read: (start, end) => readRange(options, requests, start, end),
    acquire: () => permits.acquire(),
    unusable: (error) => {
      if (!(error instanceof StoreRefusal)) return false;
      health.failed(error);
      return true;
    },
  };
}

/** The signed request that all ranges of a blob use, until it expires. */
class ReadRequests {
  readonly #ask: () => Promise<BlobPlace>;
  #place: BlobPlace;
  #takenAtMs = performance.now();
  #renewing: Promise<void> | null = null;

  constructor(place: BlobPlace, ask: () => Promise<BlobPlace>) {
    this.#place = place;
    this.#ask = ask;
  }

  /** `refused` is one that the store did not take (any more). */
  async current(refused: DirectRequest | null): Promise<DirectRequest> {
    const known = this.#direct();
    const leftMs = this.#takenAtMs + known.expiresInMs - performance.now();
    if (refused !== known && leftMs > RENEW_BEFORE_MS) return known;
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = null;
    });
    await this.#renewing;
    return this.#direct();
  }

  async #renew(): Promise<void> {
    this.#place = await this.#ask();
    this.#takenAtMs = performance.now();
  }

  #direct(): DirectRequest {
    if (this.#place.way === "direct") return this.#place.request;
    throw new BerthError("unavailable", "The blob was moved to another store meanwhile.");
  }
}

async function* readRange(
  { connections, signal, log, digest }: DirectRangesOptions,
  requests: ReadRequests,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  let at = start;
  let refused: DirectRequest | null = null;
  for (let failures = 0; ; ) {
    const request = await requests.current(refused);
    refused = null;
    try {
      const bytes = await connections.get(request, at, end, signal);
      for await (const chunk of bytes as AsyncIterable<Buffer>) {
        if (at + chunk.length > end) {
          throw new StoreRefusal(new URL(request.url), null, "sends more than it was asked for");
        }
        at += chunk.length;
        failures = 0;
        yield chunk;
      }
      if (at === end) return;
      throw new StoreRefusal(new URL(request.url), null, `ended a part ${end - at} bytes early`);
    } catch (error) {
      signal.throwIfAborted();
      failures += 1;
      const refusal =
        error instanceof StoreRefusal
          ? error
          : new StoreRefusal(new URL(request.url), null, `broke off: ${(error as Error).message}`);
      if (failures >= TRIES_MAX) throw refusal;
      if (refusal.status === 403) refused = request;
      log.debug({ reason: refusal.message, digest, at, failures }, "fetching an input: trying a part again");
      await sleep(backoffMs(failures), undefined, { signal });
    }
  }
}
