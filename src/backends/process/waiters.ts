import { fault } from "../../protocol/faults.ts";
import { BackendError } from "../execution-backend.ts";

/** How late a byte of a followed log, or the end of an adopted attempt, may be noticed. */
const PULSE_INTERVAL_MS = 50;

/**
 * Everyone who waits for news of an attempt: woken by name when its process ended, and all together by one shared
 * timer, which runs only while somebody waits. So a thousand steps at once cost no more timers than one.
 */
export class Waiters implements Disposable {
  readonly #waiting = new Map<string, Set<() => void>>();
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  /** Resolves at the next news, at a pulse, or when aborted; rejects when the session is closed. */
  async next(name: string, signal: AbortSignal | undefined): Promise<void> {
    await this.#newsOrPulse(name, signal);
    if (this.#closed) throw closedError();
  }

  wake(name: string): void {
    for (const done of this.#waiting.get(name) ?? []) done();
    this.#waiting.delete(name);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const name of [...this.#waiting.keys()]) this.wake(name);
  }

  #newsOrPulse(name: string, signal: AbortSignal | undefined): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(name) ?? new Set();
      const done = (): void => {
        signal?.removeEventListener("abort", done);
        waiting.delete(done);
        resolve();
      };
      waiting.add(done);
      this.#waiting.set(name, waiting);
      signal?.addEventListener("abort", done);
      this.#timer ??= setTimeout(() => this.#pulse(), PULSE_INTERVAL_MS);
    });
  }

  #pulse(): void {
    this.#timer = null;
    for (const name of [...this.#waiting.keys()]) this.wake(name);
  }
}

function closedError(): BackendError {
  const message = "The session was closed while somebody waited for its attempts; they run on.";
  return new BackendError("unavailable", fault("backend-unavailable", message));
}
