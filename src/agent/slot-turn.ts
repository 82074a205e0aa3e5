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

/** One run's place among those that wait for room on the worker. */
export class SlotTurn {
  readonly #options: SlotTurnOptions;
  #awaited: { readonly need: StepNeed; readonly wait: Disposable } | null = null;
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
    if (this.#awaited !== null && isSameNeed(this.#awaited.need, need)) return null;
    return this.#options.slots.take(need);
  }

  /** Waits for its turn with this need, unless it waits already. */
  wait(need: StepNeed): void {
    if (this.#awaited !== null) return;
    const { slots, unsent } = this.#options;
    this.#awaited = {
      need,
      wait: unsent() < EVENTS_UNSENT_MAX ? slots.whenFree(need, (slot) => this.#turn(need, slot)) : this.#later(need),
    };
  }

  /** Nothing of the run waits any more. */
  leave(): void {
    const { wait } = this.#awaited ?? {};
    this.#awaited = null;
    wait?.[Symbol.dispose]();
  }

  #later(need: StepNeed): Disposable {
    const timer = setTimeout(() => this.#turn(need, null), BACKLOG_RETRY_MS);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  }

  #turn(need: StepNeed, slot: StepSlot | null): void {
    this.#awaited = null;
    this.#granted = slot === null ? null : { need, slot };
    this.#options.onTurn();
    this.#granted?.slot[Symbol.dispose]();
    this.#granted = null;
  }
}
