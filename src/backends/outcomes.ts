import { constants } from "node:os";
import { type Fault, fault } from "../protocol/faults.ts";
import type { CancelOptions, LimitReason, Outcome, Stats } from "./execution-backend.ts";

/** How an attempt's main process ended, as the platform or the record tells it: facts, no judgement. */
export interface Ending {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Processes that the memory limit killed, by positive evidence of the platform. */
  readonly oomKills: number;
  /** Something other than Berth asked the object to stop before it ended. */
  readonly stoppedFromOutside?: boolean;
  readonly stats: Stats;
  readonly warnings: readonly string[];
  /** What the limits did: the evidence of a failure, and else warnings. */
  readonly limitsHit?: readonly string[];
}

/**
 * The outcome of an attempt that ended by itself or by our hand. `stop` is the intent to stop it, if that was
 * persisted before the end: then the end is ours, whatever exit code the step's TERM handler chose.
 */
export function endedOutcome(ending: Ending, stop: CancelOptions["reason"] | null): Outcome {
  const { exitCode, signal, stats, limitsHit = [] } = ending;
  const facts = { exitCode, signal, stats, warnings: [...ending.warnings, ...limitsHit] };
  if (stop !== null) return { ...stoppedOutcome(stop), ...facts };
  // A TERM handler may well exit with 0 in the middle of its work: that is no evidence of success.
  if (ending.stoppedFromOutside === true) return { state: "failed", fault: STOPPED_FROM_OUTSIDE, ...facts };
  if (exitCode === 0) return { state: "succeeded", fault: null, ...facts };
  return { state: "failed", fault: endedFault(ending), ...facts, warnings: ending.warnings };
}

const STOPPED_FROM_OUTSIDE = fault("deleted-externally", "The step was told to stop by something other than Berth.");

function endedFault(ending: Ending): Fault {
  const { exitCode, signal, limitsHit = [] } = ending;
  const evidence = limitsHit.length === 0 ? {} : { evidence: limitsHit.join("\n") };
  if (ending.oomKills > 0) return fault("oom", oomMessage(ending), evidence);
  if (signal !== null) {
    return fault("killed-by-signal", `The step was ended by ${signal}, which Berth did not send.`, evidence);
  }
  return fault("exit-nonzero", `The step exited with code ${exitCode}.`, evidence);
}

/** A shell reports a child's KILL as 137: with the limit's own count beside it, that is the main process in effect. */
function oomMessage({ exitCode, signal }: Ending): string {
  if (signal === "SIGKILL" || exitCode === 128 + constants.signals.SIGKILL) {
    return "The step was killed because it used more memory than its limit.";
  }
  const end = signal === null ? `exited with code ${exitCode}` : `was ended by ${signal}`;
  return `A process of the step was killed because of the memory limit, and then the step ${end}.`;
}

const NO_FACTS = { exitCode: null, signal: null, stats: {}, warnings: [] } as const;

/** Berth stopped the attempt. A limit that was exceeded is a failure of the step; everything else is a cancellation. */
export function stoppedOutcome(stop: CancelOptions["reason"]): Outcome {
  if (isLimit(stop)) return { state: "failed", fault: fault(stop, LIMIT_EXCEEDED[stop]), ...NO_FACTS };
  return { state: "cancelled", fault: fault("cancelled", STOPPED_BECAUSE[stop]), ...NO_FACTS };
}

const LIMIT_EXCEEDED: Readonly<Record<LimitReason, string>> = {
  "deadline-run": "The step was stopped because it ran for longer than its timeout.",
  "disk-exceeded": "The step was stopped because it wrote more to the disk than its limit.",
  "disk-full": "The step was stopped because the worker's disk was nearly full.",
};

function isLimit(stop: CancelOptions["reason"]): stop is LimitReason {
  return Object.hasOwn(LIMIT_EXCEEDED, stop);
}

const STOPPED_BECAUSE: Record<Exclude<CancelOptions["reason"], LimitReason>, string> = {
  user: "The step was stopped on request.",
  fenced: "The step was stopped because this worker no longer holds its run.",
  shutdown: "The step was stopped because the agent was told to stop its work.",
};

/** The command could not be executed; user code never ran. */
export function neverStartedOutcome(why: NonNullable<Outcome["fault"]>): Outcome {
  return { state: "failed", fault: why, ...NO_FACTS };
}

/** The object is gone and left no record: neither success nor failure can be told. */
export function lostOutcome(message: string, evidence?: string): Outcome {
  const why = fault("vanished", message, evidence === undefined ? {} : { evidence });
  return { state: "lost", fault: why, ...NO_FACTS };
}

const SIGNAL_NAMES = new Map<number, string>(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** `SIGKILL` for 9; a number without a name, such as a real-time signal, stays a number. */
export function signalName(number: number): string {
  return SIGNAL_NAMES.get(number) ?? `signal ${number}`;
}
