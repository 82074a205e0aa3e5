/**
 * Whose traffic it is that an attempt's network carried. All attempts of a run on one worker have one network: what went
 * through it meanwhile is an attempt's own only if no other one was there at any time.
 */
export class NetworkShares {
  /** Those that are there, with whether each has been alone so far. */
  readonly #present = new Map<string, { alone: boolean }>();

  /** `isNew` says that this process lets it go now: what another process began was with others before, for all we know. */
  enter(name: string, { isNew }: { readonly isNew: boolean }): void {
    if (this.#present.has(name)) return;
    const others = [...this.#present.values()];
    for (const other of others) other.alone = false;
    this.#present.set(name, { alone: isNew && others.length === 0 });
  }

  /** Whether it has been alone so far; so is one that never entered, because it has no network. */
  isAlone(name: string): boolean {
    return this.#present.get(name)?.alone ?? true;
  }

  /** After its end was seen. */
  leave(name: string): void {
    this.#present.delete(name);
  }
}
