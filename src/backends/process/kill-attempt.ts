import { writeCancel } from "../../shim/control-folder.ts";
import { errnoOf } from "../../std/errno.ts";
import { findShims, findStrays } from "./proc.ts";
import { sendSignal } from "./send-signal.ts";
import type { TrackedAttempt } from "./tracked-attempt.ts";
import type { Waiters } from "./waiters.ts";

/** A shim that was told to kill its step is gone within milliseconds, unless the kernel holds it up. */
const SHIM_END_WAIT_MS = 5_000;

/** Ends every process of an attempt, and returns when none is left. */
export async function killAttempt(attempt: TrackedAttempt, waiters: Waiters): Promise<void> {
  tellToStop(attempt.controlFolder);
  const deadlineMs = performance.now() + SHIM_END_WAIT_MS;
  for (let pid = attempt.pid(findShims); pid !== null; pid = attempt.pid(findShims)) {
    sendSignal(pid, performance.now() < deadlineMs ? "SIGTERM" : "SIGKILL");
    await waiters.next(attempt.handle.name, undefined);
  }
  for (const pid of findStrays(attempt.handle.folder)) sendSignal(pid, "SIGKILL");
}

function tellToStop(controlFolder: string): void {
  try {
    writeCancel(controlFolder, { graceMs: 0, reason: "user" });
  } catch (error) {
    // The caller may have removed the attempt folder already.
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}
