import { type FaultCode, fault } from "../../protocol/faults.ts";
import { errnoOf } from "../../std/errno.ts";
import { BackendError, type BackendErrorCode } from "../execution-backend.ts";

/** The engine answered, and said no. Its own words are the message. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** No answer, or none that makes sense: nothing is known about what was asked for. */
export class EngineUnreachableError extends Error {
  override readonly name = "EngineUnreachableError";
}

export function isStatus(error: unknown, ...statuses: readonly number[]): error is EngineError {
  return error instanceof EngineError && statuses.includes(error.status);
}

/** The exception that a caller of the backend gets; `attempted` completes "could not …". */
export function toBackendError(error: unknown, attempted: string): BackendError {
  if (error instanceof BackendError) return error;
  const evidence = { evidence: error instanceof Error ? error.message : String(error) };
  const fail = (code: BackendErrorCode, faultCode: FaultCode, message: string) =>
    new BackendError(code, fault(faultCode, message, evidence), { cause: error });
  if (error instanceof EngineUnreachableError) {
    return fail("unavailable", "daemon-lost", `Docker could not ${attempted}: the engine does not answer.`);
  }
  if (isStatus(error, 400)) return fail("spec-unsupported", "spec-unsupported", `Docker refused to ${attempted}.`);
  const system = errnoOf(error);
  if (system !== undefined)
    return fail("internal", "stage-io", `Berth could not ${attempted} on this host (${system}).`);
  return fail("internal", "backend-unavailable", `Docker could not ${attempted}.`);
}
