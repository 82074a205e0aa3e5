import { AsyncLocalStorage } from "node:async_hooks";
import { closeSync } from "node:fs";
import { setImmediate as realSetImmediate } from "node:timers";
import { Random } from "./random.ts";

/** The wall clock at the start of every simulation. */
const STARTED_AT_MS = Date.UTC(2030, 0, 1);
const RealDate = Date;
/** The longest that a local input or output takes. */
const IO_MAX_MS = 2;

/**
 * A process that can be killed: code runs in it as long as it is alive, whatever it waits for. What it waits for is
 * always an event of the scheduler, so a dead process is one whose events are dropped.
 */
export class SimulatedProcess {
  alive = true;
  readonly name: string;
  /** Of the machine: what its wall clock is wrong by, and how long it has been up. */
  readonly clock: { skewMs: number; bootedAtMs: number };
  readonly descriptors = new Set<number>();

  constructor(name: string, clock: { skewMs: number; bootedAtMs: number }) {
    this.name = name;
    this.clock = clock;
  }

  kill(): void {
    if (!this.alive) return;
    this.alive = false;
    for (const descriptor of this.descriptors) closeSync(descriptor);
    this.descriptors.clear();
  }
}

const current = new AsyncLocalStorage<SimulatedProcess | undefined>();

export function currentProcess(): SimulatedProcess | undefined {
  return current.getStore();
}

/** Runs `act`, and all that follows from it, in a process; `undefined` is the world outside of all. */
export function runIn<T>(process: SimulatedProcess | undefined, act: () => T): T {
  return current.run(process, act);
}

interface Scheduled {
  readonly atMs: number;
  /** Decides among those that are due at the same time. */
  readonly order: number;
  readonly owner: SimulatedProcess | undefined;
  act: (() => void) | null;
}

/** What time it is, and everything that is going to happen, in the order that the seed decides. */
export class Scheduler {
  nowMs = 0;
  events = 0;
  readonly random: Random;
  /** For what has to be unlike anything else, and decides nothing. */
  readonly ids: Random;
  readonly #heap: Scheduled[] = [];
  readonly #outside = new Set<Promise<unknown>>();

  constructor(seed: number) {
    this.random = new Random(seed);
    this.ids = new Random(seed ^ 0x1d5);
  }

  /** What is owned by a process does not happen when that is dead; the default owner is the process that asks for it. */
  schedule(
    afterMs: number,
    act: () => void,
    by: SimulatedProcess | "outside" = current.getStore() ?? "outside",
  ): { cancel(): void } {
    const atMs = this.nowMs + Math.max(0, Math.ceil(Number.isFinite(afterMs) ? afterMs : 1));
    const owner = by === "outside" ? undefined : by;
    const scheduled: Scheduled = { atMs, order: this.random.next(), owner, act };
    push(this.#heap, scheduled);
    return {
      cancel: () => {
        scheduled.act = null;
      },
    };
  }

  /** Lets things happen, one after the other, until `isDone`, or until nothing is due before `untilMs`. */
  async run(untilMs: number, isDone: () => boolean): Promise<void> {
    while (!isDone()) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs);
        return;
      }
      pop(this.#heap);
      const { act, owner } = next;
      if (act === null || owner?.alive === false) continue;
      this.nowMs = next.atMs;
      this.events += 1;
      current.run(owner, act);
      // Everything that follows without waiting has happened when the real event loop comes round.
      await new Promise((resolve) => realSetImmediate(resolve));
      while (this.#outside.size > 0) await Promise.race(this.#outside);
    }
  }

  /** Waits for what really takes time, such as a query, before anything else happens. */
  outside<T>(work: Promise<T>): Promise<T> {
    const settled = work.then(
      () => {},
      () => {},
    );
    const pending = { done: Promise.resolve() };
    pending.done = settled.then(async () => {
      await new Promise((resolve) => realSetImmediate(resolve));
      this.#outside.delete(pending.done);
    });
    this.#outside.add(pending.done);
    return work;
  }
}

function isBefore(left: Scheduled, right: Scheduled): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);
}

function push(heap: Scheduled[], item: Scheduled): void {
  let index = heap.push(item) - 1;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if (!isBefore(item, heap[parent]!)) break;
    heap[index] = heap[parent]!;
    index = parent;
  }
  heap[index] = item;
}

function pop(heap: Scheduled[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  let index = 0;
  for (;;) {
    let child = 2 * index + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
    if (!isBefore(heap[child]!, last)) break;
    heap[index] = heap[child]!;
    index = child;
  }
  heap[index] = last;
}

let running: Scheduler | null = null;

/** The scheduler of the simulation that runs; there is one at a time. */
export function scheduler(): Scheduler {
  if (running === null) throw new Error("no simulation runs");
  return running;
}

export function useScheduler(next: Scheduler | null): void {
  running = next;
}

/** What a local input or output takes. */
export function io(): Promise<void> {
  return new Promise((resolve) => later(resolve));
}

/** The same with a callback. */
export function later(act: () => void): void {
  scheduler().schedule(scheduler().random.integer(0, IO_MAX_MS), act);
}

export function wallClockMs(): number {
  if (running === null) return RealDate.now();
  return STARTED_AT_MS + running.nowMs + (currentProcess()?.clock.skewMs ?? 0);
}
