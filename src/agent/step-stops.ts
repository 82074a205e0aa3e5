import { type Fault, fault } from "../protocol/faults.ts";
import type { StopReason } from "../runtime/attempt-work.ts";

/** What stops step runs: all of them together, or one because another failed. */
export class StepStops {
  /** Aborted with a StopReason. */
  readonly all: AbortSignal;
  /** Of those that run, and that may be stopped alone. */
  readonly #own = new Map<string, AbortController>();
  readonly #unwanted = new Map<string, { readonly why: Fault; readonly because: string }>();
  readonly #mayBeStoppedAlone: (step: string) => boolean;

  constructor(all: AbortSignal, mayBeStoppedAlone: (step: string) => boolean) {
    this.all = all;
    this.#mayBeStoppedAlone = mayBeStoppedAlone;
  }

  /** Whether it is not to start any more. */
  has(key: string): boolean {
    return this.all.aborted || this.#unwanted.has(key);
  }

  /** The whole agent lets go of what runs: nothing has ended. */
  get isDetach(): boolean {
    return this.all.aborted && (this.all.reason as StopReason).kind === "detach";
  }

  /** The signal to run this step run under. */
  signalOf({ key, step }: { readonly key: string; readonly step: string }): AbortSignal {
    if (!this.#mayBeStoppedAlone(step)) return this.all;
    const own = this.#own.get(key) ?? new AbortController();
    this.#own.set(key, own);
    return AbortSignal.any([this.all, own.signal]);
  }

  /** Stops one that was handed out, whether it runs or waits. */
  stop(key: string, because: string): void {
    const why = fault("sibling-failed", `The step was stopped because ${because} failed (fail_fast).`);
    this.#unwanted.set(key, { why, because });
    this.#own.get(key)?.abort({ kind: "cancel", reason: "user", fault: why } satisfies StopReason);
  }

  /** The step run whose failure stopped this one; none where it was not stopped alone. */
  causesOf(key: string): string[] {
    const unwanted = this.#unwanted.get(key);
    return unwanted === undefined ? [] : [unwanted.because];
  }

  /** Why it was stopped, of one that did not start. */
  faultOf(key: string): Fault {
    const reason = this.all.aborted ? (this.all.reason as StopReason) : null;
    const ofAll = reason?.kind === "cancel" ? reason.fault : null;
    return this.#unwanted.get(key)?.why ?? ofAll ?? fault("cancelled", "The run was cancelled before this step began.");
  }

  /** It has ended. */
  forget(key: string): void {
    this.#own.delete(key);
  }
}
