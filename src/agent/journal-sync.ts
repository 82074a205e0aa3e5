import type { Logger } from "pino";
import type { Journal } from "./journal.ts";

/**
 * How much work a power cut can take: what was journaled within this is done again. A sync per step would cost more
 * than the step itself on most disks.
 */
const SYNC_INTERVAL_MS = 1_000;

/** Syncs every open journal at intervals. */
export class JournalSync implements Disposable {
  readonly #journals = new Set<Journal>();
  readonly #timer: NodeJS.Timeout;

  constructor(log: Logger) {
    this.#timer = setInterval(() => {
      for (const journal of this.#journals) {
        journal.sync().catch((error: unknown) => log.error({ err: error }, "a journal could not be synced to disk"));
      }
    }, SYNC_INTERVAL_MS);
    this.#timer.unref();
  }

  add(journal: Journal): void {
    this.#journals.add(journal);
  }

  delete(journal: Journal): void {
    this.#journals.delete(journal);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
