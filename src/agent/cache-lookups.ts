import { CACHE_LOOKUPS_MAX, type CacheHit, type CacheLookup } from "../protocol/cache.ts";

interface Waiting {
  readonly lookup: CacheLookup;
  readonly signal: AbortSignal;
  readonly resolve: (hit: CacheHit | null) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Asks the server what is known, one request at a time: what becomes ready meanwhile travels with the next. A matrix or
 * a batch that was made before then costs a few requests instead of one for each of its step runs.
 */
export class CacheLookups {
  readonly #ask: (lookups: readonly CacheLookup[], signal: AbortSignal) => Promise<readonly (CacheHit | null)[]>;
  readonly #waiting: Waiting[] = [];
  #asking = false;

  /** @param ask answers in the order of the lookups */
  constructor(ask: (lookups: readonly CacheLookup[], signal: AbortSignal) => Promise<readonly (CacheHit | null)[]>) {
    this.#ask = ask;
  }

  /** Callers that wait at the same time are steps of one phase, and have one signal. */
  find(lookup: CacheLookup, signal: AbortSignal): Promise<CacheHit | null> {
    const { promise, resolve, reject } = Promise.withResolvers<CacheHit | null>();
    this.#waiting.push({ lookup, signal, resolve, reject });
    if (!this.#asking) {
      this.#asking = true;
      // What else became ready within this turn goes into the same request.
      setImmediate(() => void this.#askAll());
    }
    return promise;
  }

  async #askAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const asked = this.#waiting.splice(0, CACHE_LOOKUPS_MAX);
      try {
        const hits = await this.#ask(
          asked.map(({ lookup }) => lookup),
          asked[0]!.signal,
        );
        for (const [index, { resolve }] of asked.entries()) resolve(hits[index] ?? null);
      } catch (error) {
        for (const { reject } of asked) reject(error);
      }
    }
    this.#asking = false;
  }
}
