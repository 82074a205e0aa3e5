import type { AttemptRef } from "../backends/execution-backend.ts";
import type { Reservation } from "../runtime/reservation.ts";
import type { StepNeed } from "./step-need.ts";
import { WorkerRoom, type WorkerSize } from "./worker-room.ts";

/** Room for one attempt, which is given back when it is disposed of. */
export interface StepSlot extends Disposable {
  readonly reserved: Reservation;
}

interface Waiter {
  readonly need: StepNeed;
  /** Null when there will never be room: the worker has become smaller. */
  readonly take: (slot: StepSlot | null) => void;
}

/**
 * Shares this worker out among the attempts of all runs: by number, cores, memory and single GPUs. Runs that want more
 * are given a slot in turn when there is room, so that one with a thousand ready steps does not starve the others.
 * Whoever waits longest is served first. Meanwhile a smaller one may go ahead, as long as that leaves untouched what the
 * first waits for; so a large step is not overtaken for ever, and small ones do not wait for a GPU that they do not need.
 */
export class StepSlots {
  readonly #room: WorkerRoom;
  readonly #waiting: Waiter[] = [];
  /** What earlier processes of the agent began, by attempt. */
  readonly #adopted = new Map<string, { readonly reserved: Reservation; readonly backend: string; driven: boolean }>();
  #offering = false;

  constructor(size: WorkerSize) {
    this.#room = new WorkerRoom(size);
  }

  get size(): WorkerSize {
    return this.#room.size;
  }

  /** A slot, or null when there is no room now. */
  take(need: StepNeed): StepSlot | null {
    return this.#room.fits(need, this.#waiting[0]?.need) ? this.#grant(need) : null;
  }

  /** Hands over a slot once when there is room for it, unless the wait is disposed of before. */
  whenFree(need: StepNeed, take: Waiter["take"]): Disposable {
    const waiter = { need, take };
    this.#waiting.push(waiter);
    return {
      [Symbol.dispose]: () => {
        const index = this.#waiting.indexOf(waiter);
        if (index < 0) return;
        this.#waiting.splice(index, 1);
        // What was kept free for it is there for others now.
        this.#offer();
      },
    };
  }

  /** Why this worker can never run it, in words; null where it can. */
  lacks(need: StepNeed): string | null {
    return this.#room.lacks(need);
  }

  /** The worker has another size than it had: a GPU came or went. */
  resize(size: WorkerSize): void {
    this.#room.resize(size);
    for (const waiter of this.#waiting.filter(({ need }) => this.lacks(need) !== null)) {
      const index = this.#waiting.indexOf(waiter);
      // One that was told before may have left with another need of the same run.
      if (index < 0) continue;
      this.#waiting.splice(index, 1);
      waiter.take(null);
    }
    this.#offer();
  }

  /** Enters what an earlier process of the agent began, once; whether or not it fits, it runs. */
  adopt(backend: string, ref: AttemptRef, reserved: Reservation): void {
    if (this.#adopted.has(keyOf(ref))) return;
    this.#adopted.set(keyOf(ref), { reserved, backend, driven: false });
    this.#room.enter(reserved);
  }

  /** A run drives it from here on, and says when it has ended. */
  drive(ref: AttemptRef): Disposable {
    const entry = this.#adopted.get(keyOf(ref));
    if (entry !== undefined) entry.driven = true;
    return { [Symbol.dispose]: () => this.#forget(keyOf(ref)) };
  }

  /** Backends on which something was adopted that no run drives: somebody has to look whether it still runs. */
  get undriven(): ReadonlySet<string> {
    return new Set([...this.#adopted.values()].filter(({ driven }) => !driven).map(({ backend }) => backend));
  }

  /** Gives back what was adopted on this backend, no run drives, and is not among those that run. */
  keepOnly(backend: string, running: readonly AttemptRef[]): void {
    const kept = new Set(running.map(keyOf));
    for (const [key, entry] of [...this.#adopted]) {
      if (entry.backend === backend && !entry.driven && !kept.has(key)) this.#forget(key);
    }
  }

  #forget(key: string): void {
    const entry = this.#adopted.get(key);
    if (entry === undefined) return;
    this.#adopted.delete(key);
    this.#room.giveBack(entry.reserved);
    this.#offer();
  }

  #grant(need: StepNeed): StepSlot {
    const reserved = this.#room.reserve(need);
    return {
      reserved,
      [Symbol.dispose]: () => {
        this.#room.giveBack(reserved);
        this.#offer();
      },
    };
  }

  #offer(): void {
    if (this.#offering) return;
    this.#offering = true;
    try {
      for (let waiter = this.#next(); waiter !== null; waiter = this.#next()) waiter.take(this.#grant(waiter.need));
    } finally {
      this.#offering = false;
    }
  }

  #next(): Waiter | null {
    const first = this.#waiting[0];
    const index = this.#waiting.findIndex(({ need }, place) => this.#room.fits(need, place === 0 ? null : first!.need));
    return index < 0 ? null : this.#waiting.splice(index, 1)[0]!;
  }
}

function keyOf({ run, scope, stepRun, attempt }: AttemptRef): string {
  return JSON.stringify([run, scope, stepRun, attempt]);
}
