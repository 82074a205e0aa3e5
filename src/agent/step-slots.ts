/**
 * How many attempts run at once on this worker, over all runs. Runs that want more are told in turn when a slot becomes
 * free, so that one with a thousand ready steps does not starve the others.
 */
export class StepSlots {
  #free: number;
  readonly #waiting: (() => void)[] = [];
  #offering = false;

  constructor(count: number) {
    this.#free = count;
  }

  /** A slot, or null when all are taken. */
  take(): Disposable | null {
    if (this.#free === 0) return null;
    this.#free -= 1;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#free += 1;
        this.#offer();
      },
    };
  }

  /** Calls `retry` once when a slot is free; whoever waits longest comes first. */
  whenFree(retry: () => void): void {
    this.#waiting.push(retry);
  }

  #offer(): void {
    if (this.#offering) return;
    this.#offering = true;
    while (this.#free > 0 && this.#waiting.length > 0) this.#waiting.shift()!();
    this.#offering = false;
  }
}
