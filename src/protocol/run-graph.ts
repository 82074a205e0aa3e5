import { z } from "zod";
import { idOf } from "./ids.ts";
import { Name } from "./names.ts";
import { Action, Phase } from "./plan.ts";
import { RunState, StepState } from "./states.ts";

/** `GET /runs/:run/graph`: what a picture of a run needs, small enough for one of thousands of steps. */

export const GraphStep = z.object({
  name: Name,
  /** `matrix` has a step run for each combination, `batch` one for each item; `batch` may have a matrix too. */
  kind: z.enum(["step", "matrix", "batch"]),
  action: z.enum(Action.options.map(({ shape }) => shape.kind.value)),
  /** Left out for the main phase. */
  phase: Phase.exclude(["main"]).optional(),
  /** What it waits for: places in `steps`. */
  needs: z.array(z.int()),
  /** Of all of it: see stateOfStep. */
  state: StepState,
  /** Of a matrix or batch: how many of its combinations and items are in which state; those of a batch once it is split. */
  counts: z.partialRecord(StepState, z.int()).optional(),
  /** Left out where the run cannot succeed without it. */
  mayFail: z.literal(true).optional(),
  /** From the first to the last of it; left out until then. */
  startedAt: z.iso.datetime().optional(),
  finishedAt: z.iso.datetime().optional(),
});
export type GraphStep = z.infer<typeof GraphStep>;

export const RunGraphView = z.object({
  id: idOf("run"),
  state: RunState,
  /** In the order of the pipeline. */
  steps: z.array(GraphStep),
});
export type RunGraphView = z.infer<typeof RunGraphView>;

/** From the mildest to the worst. */
const ENDS: readonly StepState[] = ["succeeded", "skipped", "cancelled", "failed"];

/**
 * The state of a step by those of its step runs: running as soon as some of it has begun and not all has ended, then the
 * worst of its ends.
 */
export function stateOfStep(states: ReadonlySet<StepState>): StepState {
  if (states.has("running")) return "running";
  if (states.has("pending")) return states.size > 1 ? "running" : "pending";
  return ENDS.findLast((end) => states.has(end)) ?? "pending";
}
