import { isSameNeed, type StepNeed } from "./step-need.ts";
import type { StepSlot, StepSlots } from "./step-slots.ts";

/** Events not yet with the server above which nothing further starts: bounds memory while the server is away. */
const EVENTS_UNSENT_MAX = 50_000;
const BACKLOG_RETRY_MS = 500;

export interface SlotTurnOptions {
  readonly slots: Pick<StepSlots, "take" | "whenFree">;
  /** Events that the server has not acknowledged. */
  readonly unsent: () => number;
  /** Starts what it can with `take`; a slot that it does not take is for others. */
  readonly onTurn: () => void;
}

interface Awaited {
  readonly need: StepNeed;
  readonly wait: Disposable;
}

/** One run's places among those that wait for room on the worker: one for each need, since room for them comes apart. */
export class SlotTurn {
  readonly #options: SlotTurnOptions;
  #awaited: readonly Awaited[] = [];
  #granted: { readonly need: StepNeed; readonly slot: StepSlot } | null = null;

  constructor(options: SlotTurnOptions) {
    this.#options = options;
  }

  /** A slot, or null when there is no room now, or others come first. */
  take(need: StepNeed): StepSlot | null {
    if (this.#granted !== null && isSameNeed(this.#granted.need, need)) {
      const { slot } = this.#granted;
      this.#granted = null;
      return slot;
    }
    if (this.#options.unsent() >= EVENTS_UNSENT_MAX) return null;
    // Its turn comes: a second way to it would be before those that wait longer.
    if (this.#awaited.some((awaited) => isSameNeed(awaited.need, need))) return null;
    return this.#options.slots.take(need);
  }

  /** Waits for its turn with each of these needs, unless it waits already, and with no other any more. */
  waitFor(needs: readonly StepNeed[]): void {
    const { slots, unsent } = this.#options;
    const left = this.#awaited.filter(({ need }) => !needs.some((kept) => isSameNeed(kept, need)));
    this.#awaited = this.#awaited.filter((awaited) => !left.includes(awaited));
    for (const need of needs) {
      if (this.#awaited.some((awaited) => isSameNeed(awaited.need, need))) continue;
      const wait =
        unsent() < EVENTS_UNSENT_MAX
          ? slots.whenFree(need, (slot) => this.#turn(awaited, slot))
          : this.#later(() => this.#turn(awaited, null));
      const awaited: Awaited = { need, wait };
      this.#awaited = [...this.#awaited, awaited];
    }
    // Last: what was kept free for these may be given to this very run at once.
    for (const { wait } of left) wait[Symbol.dispose]();
  }

  /** Nothing of the run waits any more. */
  leave(): void {
    this.waitFor([]);
  }

  #later(act: () => void): Disposable {
    const timer = setTimeout(act, BACKLOG_RETRY_MS);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  }

  #turn(awaited: Awaited, slot: StepSlot | null): void {
    this.#awaited = this.#awaited.filter((one) => one !== awaited);
    this.#granted = slot === null ? null : { need: awaited.need, slot };
    this.#options.onTurn();
    this.#granted?.slot[Symbol.dispose]();
    this.#granted = null;
  }
}
