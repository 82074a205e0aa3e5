/** After this long without a request, a live run, and an active schedule or trigger, a platform started in the background ends itself. */
export const IDLE_STOP_MS = 15 * 60_000;
const CHECK_INTERVAL_MS = 30_000;

export interface IdleWatchOptions {
  /** Whether there is work although nobody asks for anything. May fail: then it is asked again. */
  readonly isNeeded: () => Promise<boolean>;
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
    const needed = await this.#options.isNeeded().catch(() => true);
    if (needed) this.touch();
    else if (this.#isIdle()) this.#options.onIdle();
  }

  #isIdle(): boolean {
    return performance.now() - this.#lastUsedMs > (this.#options.idleMs ?? IDLE_STOP_MS);
  }
}
