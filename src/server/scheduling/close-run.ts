import { fault } from "../../protocol/faults.ts";
import type { RunState } from "../../protocol/states.ts";
import { loseRunningAttempts } from "../store/attempts.ts";
import type { Queryable } from "../store/database.ts";
import { closeStepRuns } from "../store/step-runs.ts";

/** Ends whatever a run leaves open when it ends, so that nothing of an ended run looks alive. The run's row is locked. */
export async function closeRun(client: Queryable, run: string, state: RunState): Promise<void> {
  if (state === "succeeded") return; // Granted only when nothing is open.
  await loseRunningAttempts(
    client,
    run,
    fault("vanished", "The run ended before the end of this attempt was reported."),
  );
  await closeStepRuns(
    client,
    run,
    state === "cancelled"
      ? { pending: "cancelled", fault: fault("cancelled", "The run was cancelled.") }
      : { pending: "skipped", fault: fault("upstream-failed", "The run ended before this step run did.") },
  );
}
