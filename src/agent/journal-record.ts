import type { Assignment, LogStream } from "../protocol/agent-api.ts";
import type { CancelFacts } from "../protocol/cancel.ts";
import type { AgentEvent } from "../protocol/events.ts";
import type { AttemptResult, AttemptWork } from "../runtime/attempt-work.ts";

/**
 * One line of a run's journal. A record is written before the act that it announces, and together with the events that
 * it causes: either both are there after a crash, or neither.
 */
export type JournalRecord = (
  | {
      readonly type: "assigned";
      readonly assignment: Assignment;
      /** By this machine's clock: what is left of the run's time is counted from there. */
      readonly at: number;
    }
  /** Nothing but its events. */
  | { readonly type: "events" }
  /** An object may exist for this attempt, user code held back; its inputs are not known yet. */
  | { readonly type: "prepared"; readonly work: AttemptWork }
  /** User code may run for this attempt from here on. */
  | { readonly type: "intent"; readonly work: AttemptWork }
  /**
   * How the attempt ended; its outputs are in the blob cache. `again`: another attempt follows, not before `retryAt` by
   * this machine's clock (milliseconds since 1970).
   */
  | {
      readonly type: "result";
      readonly stepRun: string;
      readonly attempt: number;
      readonly result: AttemptResult;
      readonly again: boolean;
      readonly retryAt: number | null;
      /** How long that was from the end on. */
      readonly pauseMs: number | null;
    }
  /** Bytes of log that the server holds. */
  | { readonly type: "logs"; readonly acked: readonly AckedLog[] }
  /** Object and folder of the attempt are gone, its logs are with the server. */
  | { readonly type: "released"; readonly stepRun: string; readonly attempt: number }
  | { readonly type: "cancel"; readonly facts: CancelFacts }
  /** The lease is lost: whatever runs is stopped, nothing more is reported. */
  | { readonly type: "fenced"; readonly why: string }
) & { readonly events?: readonly AgentEvent[] };

export interface AckedLog {
  readonly stepRun: string;
  readonly attempt: number;
  readonly stream: LogStream;
  readonly offset: number;
}
