import type { ServerResponse } from "node:http";

/** Gives each request a signal that aborts when its client goes away or the server stops. */
export class RequestSignals {
  readonly #open = new Set<AbortController>();
  #stopped = false;

  signalOf(response: ServerResponse): AbortSignal {
    const controller = new AbortController();
    if (this.#stopped || response.destroyed) {
      controller.abort();
      return controller.signal;
    }
    this.#open.add(controller);
    response.once("close", () => {
      this.#open.delete(controller);
      if (!response.writableFinished) controller.abort();
    });
    return controller.signal;
  }

  /** Ends everything that waits; what works goes on to its answer. */
  stop(): void {
    this.#stopped = true;
    for (const controller of this.#open) controller.abort();
  }
}
