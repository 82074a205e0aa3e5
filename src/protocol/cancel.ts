import { z } from "zod";
import { type Fault, fault } from "./faults.ts";

/** Why a run is stopped before its end: said once, and carried unchanged to whoever stops it. */
export const CancelFacts = z.object({
  /** Who asked for it: a person's token, a newer run, the server, the worker. */
  by: z.string(),
  reason: z.string().nullable(),
  /** `deadline-total`: its time was up, so that it has failed; nobody cancelled it. */
  code: z.enum(["cancelled", "deadline-total"]),
});
export type CancelFacts = z.infer<typeof CancelFacts>;

/** What a run says of itself that ended because of this. */
export function cancelFault({ by, reason, code }: CancelFacts): Fault {
  if (code === "deadline-total") return fault(code, reason ?? `The run was stopped by ${by}: its time was up.`);
  return fault(code, `The run was cancelled by ${by}${reason === null ? "" : `: ${reason}`}.`);
}

/** How a run ends that is stopped because of this. */
export function endOfCancelled({ code }: Pick<CancelFacts, "code">): "cancelled" | "failed" {
  return code === "cancelled" ? "cancelled" : "failed";
}

/** The facts of a run that makes room for a newer one of its group. */
export function superseded(newer: string, group: string): CancelFacts {
  return { by: `the newer run ${newer}`, reason: `it takes the place in the group "${group}"`, code: "cancelled" };
}

/** The facts of a run whose timeout is over. */
export function timeUp(by: string, timeoutMs: number): CancelFacts {
  return { by, reason: `The run took longer than its timeout of ${timeoutMs / 1000} s.`, code: "deadline-total" };
}
