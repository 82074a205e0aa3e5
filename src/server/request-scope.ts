import { AsyncLocalStorage } from "node:async_hooks";
import type { AuditActor } from "../protocol/audit.ts";

/** The request in which something happens. */
export interface RequestScope {
  readonly actor: AuditActor;
  readonly request: string;
  readonly address: string;
}

const scopes = new AsyncLocalStorage<RequestScope>();

/**
 * Runs the work of a request. Who asks is known at the edge and written down in the innermost transactions; nothing in
 * between decides by it, so that it is not handed through every function on the way.
 */
export function withinRequest<T>(scope: RequestScope, work: () => Promise<T>): Promise<T> {
  return scopes.run(scope, work);
}

/** Null where no request is at work: in loops of the server. */
export function requestScope(): RequestScope | null {
  return scopes.getStore() ?? null;
}
