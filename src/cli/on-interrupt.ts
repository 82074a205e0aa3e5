type Handler = (count: number, signal: NodeJS.Signals) => void;

/** Calls `handler` at each SIGINT and SIGTERM, with the number of them so far, until disposed. */
export function onInterrupt(handler: Handler): Disposable {
  let count = 0;
  const onSignal = (signal: NodeJS.Signals) => handler(++count, signal);
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return {
    [Symbol.dispose]() {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
    },
  };
}

/** Interrupts of something that is handled in one way first and in another one later; none is lost in between. */
export class Interrupts implements Disposable {
  #last: Parameters<Handler> | null = null;
  #handler: Handler;
  readonly #listening: Disposable;

  constructor(handler: Handler) {
    this.#handler = handler;
    this.#listening = onInterrupt((...interrupt) => {
      this.#last = interrupt;
      this.#handler(...interrupt);
    });
  }

  /** From here on this handler is called; at once, if there was an interrupt before. */
  handOver(handler: Handler): void {
    this.#handler = handler;
    if (this.#last !== null) handler(...this.#last);
  }

  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]();
  }
}
