import type { Logger } from "pino";

/** How long transfers go through the server after the store could not be used directly; then it is tried again. */
const AVOIDED_FOR_MS = 10 * 60_000;

/** Whether this worker reaches the object store by itself, as far as is known. Shared by all runs of the agent. */
export class DirectHealth {
  readonly #log: Pick<Logger, "warn">;
  readonly #now: () => number;
  #avoidedUntilMs = 0;

  constructor(log: Pick<Logger, "warn">, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
  }

  get isUsable(): boolean {
    return this.#now() >= this.#avoidedUntilMs;
  }

  failed(why: Error): void {
    if (!this.isUsable) return;
    this.#avoidedUntilMs = this.#now() + AVOIDED_FOR_MS;
    this.#log.warn(
      { reason: why.message, minutes: AVOIDED_FOR_MS / 60_000 },
      "this worker cannot use the object store directly: transfers go through the server for a while. " +
        "Check that the store's address is reachable from here, and that the clocks of server and store are right",
    );
  }
}
