import type { AttemptRef } from "../../src/backends/execution-backend.ts";

/** What really ran, written down by the steps themselves. */
export interface LedgerEntry {
  readonly run: string;
  readonly stepRun: string;
  readonly attempt: number;
  readonly epoch: number;
  readonly machine: string;
  readonly startedAtMs: number;
  endedAtMs: number | null;
  /** How it ended by itself; null when it was ended. */
  exit: number | null;
  /** Whether its machine forgot that it ran, in a power cut. */
  forgotten: boolean;
  /** Everything that it printed. */
  printed: string;
  /** Every metric that it reported. */
  readonly metrics: number[];
}

export class Ledger {
  readonly entries: LedgerEntry[] = [];

  start(ref: AttemptRef, machine: string, startedAtMs: number): LedgerEntry {
    const entry: LedgerEntry = {
      ...{ run: ref.run, stepRun: ref.stepRun, attempt: ref.attempt, epoch: epochOf(ref.scope), machine, startedAtMs },
      ...{ endedAtMs: null, exit: null, forgotten: false, printed: "", metrics: [] },
    };
    this.entries.push(entry);
    return entry;
  }

  /** Those of a run that run now. */
  running(run: string): LedgerEntry[] {
    return this.entries.filter((entry) => entry.run === run && entry.endedAtMs === null);
  }

  of({ stepRun, attempt, epoch }: Pick<LedgerEntry, "stepRun" | "attempt" | "epoch">, run: string): LedgerEntry[] {
    return this.entries.filter(
      (entry) => entry.run === run && entry.stepRun === stepRun && entry.attempt === attempt && entry.epoch === epoch,
    );
  }
}

export function epochOf(scope: string): number {
  return Number(scope.split(".")[1]);
}

export function describe({ run, stepRun, attempt, epoch, machine }: LedgerEntry): string {
  return `${stepRun} #${attempt} of ${run}, epoch ${epoch}, on ${machine}`;
}
