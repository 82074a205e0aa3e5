import { fault } from "../../protocol/faults.ts";
import { errnoOf } from "../../std/errno.ts";
import { BackendError } from "../execution-backend.ts";

/** Does something to files and processes; a refusal by the system says nothing about any step and may pass. */
export function onPlatform<T>(attempted: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const code = errnoOf(error);
    if (error instanceof BackendError || code === undefined) throw error;
    const message = `The system did not let the agent ${attempted} (${code}).`;
    const why = fault("stage-io", message, { evidence: String(error) });
    throw new BackendError("unavailable", why, { cause: error });
  }
}
