import type { Reservation } from "../runtime/reservation.ts";
import { formatSize } from "../std/format-size.ts";
import type { AgentConfig } from "./config.ts";
import type { StepNeed } from "./step-need.ts";

/** What a worker has for its steps, all together. */
export interface WorkerSize {
  /** How many attempts may run at once, however small. */
  readonly attempts: number;
  readonly cpus: number;
  readonly memoryBytes: number;
  /** Ids. */
  readonly gpus: readonly string[];
}

export function workerSize({ stepsAtOnce, cpus, memoryBytes }: AgentConfig, gpus: readonly string[]): WorkerSize {
  return { attempts: stepsAtOnce, cpus, memoryBytes, gpus };
}

/** Cores are counted in thousandths: sums of fractions must not lose a step its place. */
const THOUSANDTHS = 1_000;

/**
 * The ledger: what of a worker is reserved, and by whom. It never reserves more than there is. What an earlier process
 * began is entered as it is, even if the worker has become too small for it; then nothing else fits until that ends.
 */
export class WorkerRoom {
  #size: WorkerSize;
  readonly #reserved = new Set<Reservation>();
  #millicpus = 0;
  #memoryBytes = 0;

  constructor(size: WorkerSize) {
    this.#size = size;
  }

  get size(): WorkerSize {
    return this.#size;
  }

  /** What is reserved stays so. */
  resize(size: WorkerSize): void {
    this.#size = size;
  }

  /** Whether there is room now; with `untouched`, beside room for that one, or without taking of what it lacks. */
  fits(need: StepNeed, untouched: StepNeed | null = null): boolean {
    const free = this.#free();
    const asked = amounts(need);
    const kept = untouched === null ? null : amounts(untouched);
    return asked.every((amount, index) => amount === 0 || amount + (kept?.[index] ?? 0) <= free[index]!);
  }

  /** What an empty worker of this size would still lack, in words; null for nothing. */
  lacks({ cpus, memoryBytes, gpus }: StepNeed): string | null {
    const { size } = this;
    if (millicpusOf(cpus) > millicpusOf(size.cpus)) return `it needs ${cpus} cores, and its worker has ${size.cpus}`;
    if (memoryBytes > size.memoryBytes)
      return `it needs ${formatSize(memoryBytes)} of memory, and its worker has ${formatSize(size.memoryBytes)}`;
    if (gpus > size.gpus.length) return `it needs ${gpus} GPUs, and its worker has ${size.gpus.length}`;
    return null;
  }

  /** Takes what fits. */
  reserve({ cpus, memoryBytes, gpus }: StepNeed): Reservation {
    const reservation = { cpus, memoryBytes, gpus: this.#freeGpus().slice(0, gpus) };
    this.enter(reservation);
    return reservation;
  }

  enter(reservation: Reservation): void {
    if (this.#reserved.has(reservation)) return;
    this.#reserved.add(reservation);
    this.#millicpus += millicpusOf(reservation.cpus);
    this.#memoryBytes += reservation.memoryBytes;
  }

  giveBack(reservation: Reservation): void {
    if (!this.#reserved.delete(reservation)) return;
    this.#millicpus -= millicpusOf(reservation.cpus);
    this.#memoryBytes -= reservation.memoryBytes;
  }

  #free(): Amounts {
    const { attempts, cpus, memoryBytes } = this.#size;
    return [
      attempts - this.#reserved.size,
      millicpusOf(cpus) - this.#millicpus,
      memoryBytes - this.#memoryBytes,
      this.#freeGpus().length,
    ];
  }

  #freeGpus(): string[] {
    if (this.#size.gpus.length === 0) return [];
    const taken = new Set([...this.#reserved].flatMap(({ gpus }) => gpus));
    return this.#size.gpus.filter((id) => !taken.has(id));
  }
}

type Amounts = readonly [attempts: number, millicpus: number, memoryBytes: number, gpus: number];

function amounts({ cpus, memoryBytes, gpus }: StepNeed): Amounts {
  return [1, millicpusOf(cpus), memoryBytes, gpus];
}

/** Rounded down: as many halves, thirds and sevenths fit as one would think. */
function millicpusOf(cpus: number): number {
  return Math.floor(cpus * THOUSANDTHS + 1e-6);
}
