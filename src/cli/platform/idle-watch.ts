/** After this long without a request and without a live run, a platform started in the background ends itself. */
export const IDLE_STOP_MS = 15 * 60_000;
const CHECK_INTERVAL_MS = 30_000;

export interface IdleWatchOptions {
  /** Whether any run is queued, running or cancelling. May fail: then it is asked again. */
  readonly hasLiveRuns: () => Promise<boolean>;
  readonly onIdle: () => void;
  readonly idleMs?: number;
  readonly checkIntervalMs?: number;
}

/** Notices that nobody needs the platform any more. */
export class IdleWatch implements Disposable {
  readonly #options: IdleWatchOptions;
  readonly #timer: NodeJS.Timeout;
  #lastUsedMs = performance.now();

  constructor(options: IdleWatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#check(), options.checkIntervalMs ?? CHECK_INTERVAL_MS);
  }

  /** Somebody used the platform. */
  touch(): void {
    this.#lastUsedMs = performance.now();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #check(): Promise<void> {
    if (!this.#isIdle()) return;
    const live = await this.#options.hasLiveRuns().catch(() => true);
    if (live) this.touch();
    else if (this.#isIdle()) this.#options.onIdle();
  }

  #isIdle(): boolean {
    return performance.now() - this.#lastUsedMs > (this.#options.idleMs ?? IDLE_STOP_MS);
  }
}
