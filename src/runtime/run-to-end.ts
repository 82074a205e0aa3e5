import type { BackendSession, CancelOptions, Handle, Outcome } from "../backends/execution-backend.ts";
import { fault } from "../protocol/faults.ts";
import type { AttemptWork, StopReason } from "./attempt-work.ts";
import type { DiskExcess } from "./disk-watch.ts";
import { outcomeWithout } from "./join-outcome.ts";
import { retryBackend } from "./retry-backend.ts";
import { deadline, noteStart, remainingMs } from "./run-deadline.ts";
import { endWaiterOf } from "./wait-for-end.ts";

/** After TERM, grace and KILL an object's end must be seen within this; the platform needs some of it itself. */
const CANCEL_SETTLE_MS = 30_000;

/** Thrown when the attempt was left running, as asked: another process finds it again by its name. */
export class AttemptDetached extends Error {
  override readonly name = "AttemptDetached";
}

interface Ending {
  readonly session: BackendSession;
  readonly work: AttemptWork;
  readonly handle: Handle;
  readonly stop: AbortSignal;
  /** Aborted with a DiskExcess; left out where nobody looks. */
  readonly excess?: AbortSignal | undefined;
}

/**
 * Waits until a submitted attempt has ended, by itself or because it was stopped or its time was up. `fresh` says that
 * this very process let it go just now.
 */
export async function waitToEnd(ending: Ending, fresh: boolean): Promise<Outcome> {
  const { work, stop } = ending;
  let leftMs = work.timeoutMs;
  if (leftMs !== null && fresh) noteStart(work.spec.folder);
  else if (leftMs !== null) leftMs = remainingMs(work.spec.folder, leftMs);
  for (;;) {
    const end = await waitInterruptibly(ending, { fresh, leftMs });
    if (typeof end !== "string") return end;
    if (end === "stopped") return await cancelToEnd(ending, reasonOf(stop));
    if (end === "excess") return await stopForExcess(ending);
    if (await hasStarted(ending)) return await cancelToEnd(ending, "deadline-run");
    // The limit is on user code, and the platform has not come round to it yet.
    leftMs = work.timeoutMs;
  }
}

/** Stops an attempt and waits for its end. Throws AttemptDetached when the agent may not even wait for that. */
export async function cancelToEnd(ending: Ending, reason: CancelOptions["reason"]): Promise<Outcome> {
  const { session, work, handle } = ending;
  const answer = await retryBackend(() => session.cancel(handle, { graceMs: work.graceMs, reason }));
  if (answer === "fenced-only") return fencedOutcome(reason);
  const end = await waitInterruptibly(ending, {
    fresh: false,
    leftMs: work.graceMs + CANCEL_SETTLE_MS,
    cancelling: true,
  });
  if (end === "stopped") throw new AttemptDetached(`The attempt ${handle.name} was left while it was being stopped`);
  if (typeof end !== "string") return end;
  const message = `The step was told to stop and killed after ${work.graceMs} ms, but its end was not seen.`;
  return outcomeWithout("lost", fault("backend-unavailable", message));
}

/** It may have ended by itself meanwhile; then that is what counts. */
async function stopForExcess(ending: Ending): Promise<Outcome> {
  const { code, message, evidence } = ending.excess!.reason as DiskExcess;
  const outcome = await cancelToEnd(ending, code);
  return outcome.fault?.code === code ? { ...outcome, fault: fault(code, message, { evidence }) } : outcome;
}

/** What stopping asks of `stop` when it is aborted: a reason to cancel with; or throws AttemptDetached. */
export function reasonOf(stop: AbortSignal): "user" | "fenced" {
  const why = stop.reason as StopReason;
  if (why.kind === "detach") throw new AttemptDetached("The attempt was left running");
  return why.reason;
}

async function waitInterruptibly(
  { session, handle, stop, excess }: Ending,
  options: { readonly fresh: boolean; readonly leftMs: number | null; readonly cancelling?: boolean },
): Promise<Outcome | "stopped" | "deadline" | "excess"> {
  const interrupt = new AbortController();
  // While it is being cancelled, only leaving it altogether is still news.
  const isNews = () => !options.cancelling || (stop.reason as StopReason).kind === "detach";
  const onStop = () => isNews() && interrupt.abort("stopped");
  if (stop.aborted) onStop();
  stop.addEventListener("abort", onStop, { once: true });
  const onExcess = () => !options.cancelling && interrupt.abort("excess");
  if (excess?.aborted) onExcess();
  excess?.addEventListener("abort", onExcess, { once: true });
  const timer = options.leftMs === null ? null : deadline(options.leftMs, () => interrupt.abort("deadline"));
  try {
    const end = await endWaiterOf(session).wait(handle, { fresh: options.fresh, signal: interrupt.signal });
    return end.outcome!;
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    return interrupt.signal.reason;
  } finally {
    stop.removeEventListener("abort", onStop);
    excess?.removeEventListener("abort", onExcess);
    timer?.[Symbol.dispose]();
  }
}

async function hasStarted({ session, handle }: Ending): Promise<boolean> {
  const answer = await retryBackend(async () => {
    const observation = (await session.observe([handle])).get(handle.name);
    if (observation instanceof Error) throw observation;
    return observation;
  });
  return answer?.userCode !== "never" || answer.state === "terminal";
}

function fencedOutcome(reason: CancelOptions["reason"]): Outcome {
  if (reason === "deadline-run" || reason === "disk-exceeded" || reason === "disk-full") {
    const message = "The step exceeded a limit; its platform cannot stop it, so its result is ignored.";
    return outcomeWithout("failed", fault(reason, message));
  }
  const message = "The step's result is ignored because it was cancelled; its platform cannot stop it.";
  return outcomeWithout("cancelled", fault("cancelled", message));
}
