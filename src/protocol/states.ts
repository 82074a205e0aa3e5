import { z } from "zod";

/**
 * Every state and every legal change of it, shared by server, agent and clients. Terminal states absorb: they have
 * no way out, so a late report can never revive what has ended.
 */
export const RUN_TRANSITIONS = {
  /** waits for a worker; also where a run goes back to when its worker is given up */
  queued: ["running", "cancelled", "failed"],
  running: ["queued", "cancelling", "succeeded", "failed", "cancelled"],
  /** cancel was asked for; the agent stops what runs */
  cancelling: ["queued", "cancelled", "succeeded", "failed"],
  succeeded: [],
  failed: [],
  cancelled: [],
} as const satisfies Record<string, readonly string[]>;

export const STEP_TRANSITIONS = {
  /** waits for the steps it needs, or for a free slot; succeeds at once by a result from the cache */
  pending: ["running", "succeeded", "skipped", "cancelled", "failed"],
  /** at least one attempt began; goes back to pending when its worker is given up */
  running: ["pending", "succeeded", "failed", "cancelled", "skipped"],
  succeeded: [],
  failed: [],
  /** not started because something it needs did not succeed */
  skipped: [],
  cancelled: [],
} as const satisfies Record<string, readonly string[]>;

export const ATTEMPT_TRANSITIONS = {
  running: ["succeeded", "failed", "cancelled", "lost"],
  succeeded: [],
  failed: [],
  cancelled: [],
  /** no positive evidence of how it ended; never success */
  lost: [],
} as const satisfies Record<string, readonly string[]>;

export type RunState = keyof typeof RUN_TRANSITIONS;
export type StepState = keyof typeof STEP_TRANSITIONS;
export type AttemptState = keyof typeof ATTEMPT_TRANSITIONS;

export const RunState = z.enum(Object.keys(RUN_TRANSITIONS) as [RunState, ...RunState[]]);
export const StepState = z.enum(Object.keys(STEP_TRANSITIONS) as [StepState, ...StepState[]]);
export const AttemptState = z.enum(Object.keys(ATTEMPT_TRANSITIONS) as [AttemptState, ...AttemptState[]]);

type Table<S extends string> = Readonly<Record<S, readonly S[]>>;

/** Whether `from → to` is in the table. */
export function canChange<S extends string>(table: Table<S>, from: S, to: S): boolean {
  return table[from].includes(to);
}

/** Whether nothing follows this state. */
export function isTerminal<S extends string>(table: Table<S>, state: S): boolean {
  return table[state].length === 0;
}

/** The states that may change to `to`: what an `UPDATE … WHERE state = ANY(…)` compares against. */
export function statesBefore<S extends string>(table: Table<S>, to: S): S[] {
  return (Object.keys(table) as S[]).filter((from) => canChange(table, from, to));
}
