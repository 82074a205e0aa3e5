/** How late the end of an attempt that another process started may be told. */
const ADOPTED_CHECK_INTERVAL_MS = 200;

/** Who wants to hear of changes. While anybody does, attempts without an event of their own are looked after. */
export class Hints implements Disposable {
  readonly #listeners = new Set<(name: string) => void>();
  readonly #lookAfterAdopted: () => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(lookAfterAdopted: () => void) {
    this.#lookAfterAdopted = lookAfterAdopted;
  }

  add(onHint: (name: string) => void): Disposable {
    const listener = (name: string): void => onHint(name);
    this.#listeners.add(listener);
    this.#timer ??= setInterval(this.#lookAfterAdopted, ADOPTED_CHECK_INTERVAL_MS).unref();
    return { [Symbol.dispose]: () => this.#remove(listener) };
  }

  tell(name: string): void {
    for (const listener of this.#listeners) listener(name);
  }

  [Symbol.dispose](): void {
    for (const listener of this.#listeners) this.#remove(listener);
  }

  #remove(listener: (name: string) => void): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}
