import type { Logger } from "pino";
import { USAGE_REPORTS_MAX, type UsageReport } from "../protocol/attempt-usage.ts";
import type { MessagesRequest } from "../protocol/messages.ts";
import { retrying } from "./retry.ts";

export interface UsageShipperOptions {
  readonly epoch: number;
  send(request: MessagesRequest, signal: AbortSignal): Promise<unknown>;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/**
 * Tells the server what the attempts of one run use. A report holds all of its attempt's, so only the newest of each is
 * kept while the server is away, and none is journaled: what a crash takes is a few points of a curve.
 */
export class UsageShipper {
  readonly #options: UsageShipperOptions;
  /** What is still to be sent, by attempt. */
  readonly #pending = new Map<string, UsageReport>();
  #sending: Promise<void> | null = null;
  /** Where the server refuses them, the run goes on without. */
  #over = false;

  constructor(options: UsageShipperOptions) {
    this.#options = options;
  }

  offer(report: UsageReport): void {
    if (this.#over) return;
    this.#pending.set(`${report.attempt} ${report.stepRun}`, report);
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
  }

  /** Resolves when the server holds all that was offered, or will not have it. */
  async drained(): Promise<void> {
    while (this.#sending !== null) await this.#sending;
  }

  async #sendAll(): Promise<void> {
    const { epoch, send, signal, log } = this.#options;
    try {
      while (this.#pending.size > 0) {
        const usage = [...this.#pending].slice(0, USAGE_REPORTS_MAX).map(([key, report]) => {
          this.#pending.delete(key);
          return report;
        });
        const request = { epoch, progress: [], metrics: [], usage };
        await retrying({ what: "reporting what steps use", signal, log }, () => send(request, signal));
      }
    } catch (error) {
      this.#over = true;
      this.#pending.clear();
      if (!signal.aborted) log.error({ err: error }, "the server refused what the steps of this run use");
    }
  }
}
