import { runNeeds } from "../pipeline/run-need.ts";
import type { Assignment } from "../protocol/agent-api.ts";
import { type Fault, fault } from "../protocol/faults.ts";
import type { OpenBackend } from "./agent-context.ts";

export type ChosenBackend =
  | { readonly ok: true; readonly name: string; readonly backend: OpenBackend }
  | { readonly ok: false; readonly fault: Fault };

/**
 * The backend that a run asks for, or the first healthy one of this worker that can limit what its steps ask for. A run
 * that this worker cannot do is refused with a fault, so that it fails at once instead of waiting for something that will
 * not come.
 */
export function chooseBackend(
  assignment: Pick<Assignment, "backend" | "plan">,
  backends: ReadonlyMap<string, OpenBackend>,
  /** The backend that the run is on already, if it was started before. */
  current: string | null,
): ChosenBackend {
  const asked = current ?? assignment.backend ?? assignment.plan.worker.backend;
  const names = [...backends.keys()].join(", ") || "none";
  if (asked === null) {
    const { cpus, memoryBytes } = runNeeds(assignment.plan);
    const isLimited = cpus > 0 || memoryBytes > 0;
    const all = [...backends].filter(([, backend]) => backend.healthy);
    // What a step asks to be limited to must not run without.
    const healthy = (isLimited ? all.find(([, backend]) => canLimit(backend)) : undefined) ?? all[0];
    if (healthy !== undefined) return { ok: true, name: healthy[0], backend: healthy[1] };
    return refuse(`No backend of this worker works right now (it has: ${names}).`);
  }
  const backend = backends.get(asked);
  if (backend !== undefined) return { ok: true, name: asked, backend };
  return refuse(`This worker has no backend "${asked}" (it has: ${names}).`);
}

function canLimit({ capabilities: { limits } }: OpenBackend): boolean {
  return limits.cpu && limits.memory;
}

function refuse(message: string): ChosenBackend {
  const advice = "Choose another backend with --backend or in the pipeline file, or set it up on the worker.";
  return { ok: false, fault: fault("spec-unsupported", message, { advice }) };
}
