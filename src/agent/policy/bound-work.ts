import { parseDuration, parseMemory } from "../../pipeline/quantity.ts";
import type { StepPlan } from "../../protocol/plan.ts";
import type { AttemptWork } from "../../runtime/attempt-work.ts";
import type { WorkerPolicy } from "./worker-policy.ts";

/**
 * The work of an attempt, within the limits of the worker's policy and with the mounts that it offers. Of a step that
 * the policy does not refuse.
 */
export function boundWork(work: AttemptWork, step: Pick<StepPlan, "isolation">, { rules }: WorkerPolicy): AttemptWork {
  const { limits = {}, mounts = {} } = rules;
  const { spec } = work;
  const diskBytes = atMost(work.diskBytes ?? null, limits.disk === undefined ? null : parseMemory(limits.disk));
  const named = (step.isolation?.mounts ?? []).map((name) => ({ host: mounts[name]!.from, inside: mounts[name]!.to }));
  return {
    ...work,
    ...(diskBytes === null ? {} : { diskBytes }),
    timeoutMs: atMost(work.timeoutMs, limits.time === undefined ? null : parseDuration(limits.time)),
    spec: {
      ...spec,
      mounts: [...spec.mounts, ...named],
      limits: {
        cpus: atMost(spec.limits.cpus, limits.cpu ?? null),
        memoryBytes: atMost(spec.limits.memoryBytes, memoryMost({ rules })),
        pids: Math.min(spec.limits.pids, limits.pids ?? spec.limits.pids),
      },
    },
  };
}

/** What the policy lets one step use; null is no limit. */
export function memoryMost({ rules }: Pick<WorkerPolicy, "rules">): number | null {
  return rules.limits?.memory === undefined ? null : parseMemory(rules.limits.memory);
}

function atMost(wanted: number | null, most: number | null): number | null {
  if (wanted === null || most === null) return wanted ?? most;
  return Math.min(wanted, most);
}
