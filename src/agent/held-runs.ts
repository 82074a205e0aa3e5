import type { LeaseRef } from "../protocol/agent-api.ts";
import type { CancelFacts } from "../protocol/cancel.ts";

/** A run that this agent holds, as the loops that talk about leases see it. */
export interface HeldRun {
  readonly lease: LeaseRef;
  /** Whether a cancel is already known here. */
  readonly cancelled: boolean;
  /** A person, or the server, asked for it. Idempotent. */
  cancel(facts: CancelFacts): void;
  /** The lease is no longer ours: stop what runs, report nothing more. Idempotent. */
  fence(why: string): void;
}

/** Every run that this agent holds. What it holds, and at which epoch, is told to the server in each heartbeat. */
export class HeldRuns {
  readonly #runs = new Map<string, HeldRun>();
  readonly #listeners = new Set<() => void>();

  get size(): number {
    return this.#runs.size;
  }

  refs(): LeaseRef[] {
    return [...this.#runs.values()].map(({ lease }) => lease);
  }

  knownCancels(): string[] {
    return [...this.#runs.values()].filter((held) => held.cancelled).map(({ lease }) => lease.run);
  }

  get(run: string): HeldRun | undefined {
    return this.#runs.get(run);
  }

  all(): HeldRun[] {
    return [...this.#runs.values()];
  }

  add(held: HeldRun): void {
    this.#runs.set(held.lease.run, held);
    this.#changed();
  }

  /** Only this very hold is forgotten: the same run may be held again, at a higher epoch. */
  delete(held: HeldRun): void {
    if (this.#runs.get(held.lease.run) !== held) return;
    this.#runs.delete(held.lease.run);
    this.#changed();
  }

  /** Applies what the server says of leases; an answer that speaks of another epoch than ours is out of date. */
  apply(news: { readonly lost: readonly LeaseRef[]; readonly cancel: readonly (LeaseRef & CancelFacts)[] }): void {
    for (const { run, epoch } of news.lost) {
      const held = this.#runs.get(run);
      if (held?.lease.epoch === epoch) held.fence("the server gave the lease up");
    }
    for (const { run, epoch, ...facts } of news.cancel) {
      const held = this.#runs.get(run);
      if (held?.lease.epoch === epoch) held.cancel(facts);
    }
  }

  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
