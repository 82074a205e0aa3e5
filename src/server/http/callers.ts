import type { Poller } from "../scheduling/claim.ts";
import type { Principal } from "./route.ts";

/** The name under which a caller's deeds are written down. */
export function nameOf(principal: Principal): string {
  return principal.kind === "token" ? principal.name : principal.kind;
}

/** The worker that calls. The access rule of agent routes admits nobody else. */
export function workerOf(principal: Principal): Poller {
  if (principal.kind !== "worker") throw new Error(`an agent route was reached by ${principal.kind}`);
  return { worker: principal.workerId, boot: principal.bootId };
}
