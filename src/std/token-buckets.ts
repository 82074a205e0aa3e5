/** Keys that are remembered. Beyond, the one that was asked for longest ago is forgotten: it starts with a full bucket. */
const KEYS_MAX = 50_000;

interface Bucket {
  tokens: number;
  atMs: number;
}

/** A token bucket for each key: so much at once, and so much in the long run. */
export class TokenBuckets {
  readonly #perMs: number;
  readonly #burst: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor({ perSecond, burst }: { readonly perSecond: number; readonly burst: number }) {
    this.#perMs = perSecond / 1000;
    this.#burst = Math.max(1, burst);
  }

  /** Takes a token and answers 0; or takes none, and answers in how many milliseconds there will be one. */
  take(key: string): number {
    const bucket = this.#filled(key);
    const waitMs = this.#waitMs(bucket);
    if (waitMs === 0) bucket.tokens--;
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > KEYS_MAX) this.#buckets.delete(this.#buckets.keys().next().value!);
    return waitMs;
  }

  /** What `take` would answer. */
  waitMs(key: string): number {
    return this.#waitMs(this.#filled(key));
  }

  #waitMs({ tokens }: Bucket): number {
    return tokens >= 1 ? 0 : Math.ceil((1 - tokens) / this.#perMs);
  }

  #filled(key: string): Bucket {
    const atMs = performance.now();
    const known = this.#buckets.get(key);
    if (known === undefined) return { tokens: this.#burst, atMs };
    return { tokens: Math.min(this.#burst, known.tokens + (atMs - known.atMs) * this.#perMs), atMs };
  }
}
