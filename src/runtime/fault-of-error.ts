import { BackendError } from "../backends/execution-backend.ts";
import { BerthError } from "../protocol/errors.ts";
import { type Fault, fault } from "../protocol/faults.ts";
import { errnoOf } from "../std/errno.ts";
import { AttemptFault } from "./attempt-fault.ts";
import { InputInvalidError } from "./input-invalid-error.ts";

/** The fault of an attempt that could not be carried through because of this error. */
export function faultOfError(error: unknown, attempted: string): Fault {
  if (error instanceof BackendError || error instanceof AttemptFault) return error.fault;
  if (error instanceof InputInvalidError) return fault("input-invalid", error.message);
  const message = error instanceof Error ? error.message : String(error);
  if (errnoOf(error) === "ENOSPC") {
    const advice = "Free space on the worker's disk, or give it a smaller cache.";
    return fault("stage-io", `The worker's disk is full: ${attempted} failed.`, { evidence: message, advice });
  }
  if (error instanceof BerthError || errnoOf(error) !== undefined) {
    return fault("stage-io", `${sentenceCase(attempted)} failed: ${message}`);
  }
  const evidence = error instanceof Error ? (error.stack ?? message) : message;
  return fault("agent-error", `${sentenceCase(attempted)} failed: ${message}`, { evidence });
}

function sentenceCase(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
