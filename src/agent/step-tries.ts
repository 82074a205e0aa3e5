import type { Outcome } from "../backends/execution-backend.ts";
import type { AttemptFaults } from "../protocol/agent-api.ts";
import { countFault, type NextAttempt, NO_FAULTS } from "./next-attempt.ts";
import type { KnownProgress } from "./prior-states.ts";
import type { AttemptHistory, RunHistory } from "./run-history.ts";

/** Where a step run is with its attempts. */
export interface Tries {
  /** Number of the next attempt. One that was only made ready is that attempt. */
  readonly attempt: number;
  /** How the earlier ones ended, under earlier leases too. */
  readonly faults: AttemptFaults;
  /** The next one does not start before this, by the clock of `performance.now()`; null: at once. */
  readonly notBefore: number | null;
}

const FIRST: Tries = { attempt: 1, faults: NO_FAULTS, notBefore: null };

/** The attempts that the step runs of one run had so far. */
export class StepTries {
  readonly #tries = new Map<string, Tries>();

  /** Begins with what the server handed over, and what the journal of this lease says. */
  constructor(known: Pick<KnownProgress, "tries">, history: Pick<RunHistory, "attempts">) {
    for (const [key, { attempts, faults }] of known.tries) {
      this.#tries.set(key, { attempt: attempts + 1, faults, notBefore: null });
    }
    for (const [key, attempts] of history.attempts) {
      this.#tries.set(key, attempts.reduce(after, this.of(key)));
    }
  }

  of(key: string): Tries {
    return this.#tries.get(key) ?? FIRST;
  }

  /** Notes the end of an attempt that another follows. */
  note(key: string, attempt: number, outcome: Outcome, { delayMs }: Extract<NextAttempt, { again: true }>): void {
    const faults = countFault(this.of(key).faults, outcome);
    this.#tries.set(key, { attempt: attempt + 1, faults, notBefore: performance.now() + delayMs });
  }
}

function after(tries: Tries, { work, intended, result, again, retryAt, pauseMs }: AttemptHistory): Tries {
  const { attempt } = work.ref;
  if (!intended) return { ...tries, attempt };
  if (result === null || !again) return { ...tries, attempt: attempt + 1 };
  // The wall clock may have been set meanwhile: the pause is over at once then, or begins anew, and is never longer.
  const leftMs = retryAt === null ? 0 : Math.min(retryAt - Date.now(), pauseMs ?? 0);
  return {
    attempt: attempt + 1,
    faults: countFault(tries.faults, result.outcome),
    notBefore: leftMs > 0 ? performance.now() + leftMs : null,
  };
}
