/**
 * Bounds how many containers are created and started at once: beyond twice the cores an engine gets slower, not faster.
 * What is to run now goes before what is made ahead.
 */
export class StartSlots {
  #free: number;
  readonly #urgent: (() => void)[] = [];
  readonly #ahead: (() => void)[] = [];

  constructor(slots: number) {
    this.#free = slots;
  }

  async run<T>(isUrgent: boolean, work: () => Promise<T>): Promise<T> {
    await this.#take(isUrgent ? this.#urgent : this.#ahead);
    try {
      return await work();
    } finally {
      const next = this.#urgent.shift() ?? this.#ahead.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }

  async #take(queue: (() => void)[]): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    await new Promise<void>((resolve) => queue.push(resolve));
  }
}
