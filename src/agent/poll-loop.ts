import type { Logger } from "pino";
import { type Assignment, POLL_WAIT_MS, type PollRequest, type PollResponse } from "../protocol/agent-api.ts";
import { BerthError } from "../protocol/errors.ts";
import type { HeldRuns } from "./held-runs.ts";
import { isTransient, retrying } from "./retry.ts";

export interface PollOptions {
  poll(request: PollRequest, signal: AbortSignal): Promise<PollResponse>;
  readonly held: HeldRuns;
  /** Further runs that would be taken right now. */
  freeSlots(): number;
  /** Takes a run; it is journaled when this returns. */
  accept(assignment: Assignment): void;
  /** Resolves when `freeSlots` may have grown. */
  slotFreed(): Promise<void>;
  /** The server refuses this process for good: see HeartbeatOptions. */
  onFenced(error: BerthError): void;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/**
 * Asks for runs and hears of cancels, by a request that the server holds open. Only a poll that could not have been
 * given a run is broken off when a slot becomes free: breaking off another could lose an assignment on its way.
 */
export async function pollLoop(options: PollOptions): Promise<void> {
  const { held, signal, log } = options;
  while (!signal.aborted) {
    try {
      const answer = await retrying({ what: "polling for runs", signal, log }, () => pollOnce(options));
      if (answer === null) continue;
      held.apply(answer);
      for (const assignment of answer.assignments) {
        acceptOrLeave(options, assignment);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (isTransient(error)) continue;
      return options.onFenced(
        error instanceof BerthError ? error : new BerthError("internal", (error as Error).message, { cause: error }),
      );
    }
  }
}

/** Null when it was broken off because a slot became free. */
async function pollOnce(options: PollOptions): Promise<PollResponse | null> {
  const { poll, held, signal } = options;
  const freeSlots = options.freeSlots();
  const brokenOff = new AbortController();
  if (freeSlots === 0) void options.slotFreed().then(() => brokenOff.abort());
  const request = { freeSlots, held: held.refs(), knownCancels: held.knownCancels(), waitMs: POLL_WAIT_MS };
  try {
    return await poll(request, AbortSignal.any([signal, brokenOff.signal]));
  } catch (error) {
    if (brokenOff.signal.aborted && !signal.aborted) return null;
    throw error;
  }
}

/** One that cannot be written down, for lack of room, says nothing of the others: the server gives it to somebody else. */
function acceptOrLeave({ accept, log }: PollOptions, assignment: Assignment): void {
  try {
    accept(assignment);
  } catch (error) {
    const { run, epoch } = assignment;
    log.error({ err: error, run, epoch }, "a run could not be taken; it goes back to the queue");
  }
}
