import type { AuditActor } from "../../protocol/audit.ts";
import type { Poller } from "../scheduling/claim.ts";
import type { Principal } from "./route.ts";

/** The name under which a caller's deeds are written down. */
export function nameOf(principal: Principal): string {
  return principal.kind === "token" ? principal.name : principal.kind;
}

/** Who acts, as the audit log says it. */
export function actorOf(principal: Principal): AuditActor {
  switch (principal.kind) {
    case "token":
      return { kind: "token", id: principal.tokenId, name: principal.name };
    case "worker":
      return { kind: "worker", id: principal.workerId, name: principal.name };
    case "webhook":
      return { kind: "trigger", id: principal.trigger, name: principal.trigger };
    case "registration":
    case "anonymous":
      return { kind: principal.kind, id: null, name: principal.kind };
  }
}

/** Whoever is bound to a project sees and makes nothing beyond it. */
export function ownsInstallation(principal: Principal): boolean {
  return principal.kind === "token" && principal.project === null;
}

/** The worker that calls. The access rule of agent routes admits nobody else. */
export function workerOf(principal: Principal): Poller {
  if (principal.kind !== "worker") throw new Error(`an agent route was reached by ${principal.kind}`);
  return { worker: principal.workerId, boot: principal.bootId };
}
