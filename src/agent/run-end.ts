import type { Fault } from "../protocol/faults.ts";

/** How a run ends. */
export interface RunEnd {
  readonly state: "succeeded" | "failed" | "cancelled";
  readonly fault: Fault | null;
}
