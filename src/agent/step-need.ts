import { type Fault, fault } from "../protocol/faults.ts";
import type { StepPlan } from "../protocol/plan.ts";
import type { AgentConfig } from "./config.ts";

/** What one attempt asks of its worker. */
export interface StepNeed {
  readonly cpus: number;
  readonly memoryBytes: number;
  /** How many. */
  readonly gpus: number;
}

/** What decides how much a step counts for that says nothing. */
export type WorkerShare = Pick<AgentConfig, "cpus" | "memoryBytes" | "stepsAtOnce">;

/** Of a step that names no memory limit: a shell and a small program. */
const MEMORY_DEFAULT_BYTES = 64 * 1024 ** 2;

/**
 * What a step counts for that says nothing: of the cores one part of as many as there may be steps at once, which is
 * half a core unless the worker is set up otherwise, and little memory. So as many of them run at once as ever.
 */
export function defaultNeed({ cpus, memoryBytes, stepsAtOnce }: WorkerShare): StepNeed {
  return {
    cpus: cpus / stepsAtOnce,
    memoryBytes: Math.floor(Math.min(MEMORY_DEFAULT_BYTES, memoryBytes / stepsAtOnce)),
    gpus: 0,
  };
}

/** @param memoryBytes the limit of this very attempt; null is none */
export function needOf(resources: StepPlan["resources"], memoryBytes: number | null, otherwise: StepNeed): StepNeed {
  return {
    cpus: resources.cpu ?? otherwise.cpus,
    memoryBytes: memoryBytes ?? otherwise.memoryBytes,
    gpus: resources.gpus ?? otherwise.gpus,
  };
}

/** Step runs that are looked at behind one that has no room: what needs less, or no GPU, may have. */
const PASSED_MAX = 16;

/** Where all steps need the same, none fits behind one that does not. */
export function passedMax(steps: readonly Pick<StepPlan, "resources">[]): number {
  const needs = new Set(steps.map(({ resources: { cpu, memoryBytes, gpus } }) => `${cpu} ${memoryBytes} ${gpus}`));
  return needs.size > 1 ? PASSED_MAX : 0;
}

/** Of a step that asks for more than there is of its worker, which had more when it took the run. */
export function tooLarge(lacks: string): Fault {
  return fault("unschedulable", `The step cannot run on its worker: ${lacks}.`, {
    advice: "Ask for less, or restart the run, so that a worker takes it that has it.",
  });
}

export function isSameNeed(left: StepNeed, right: StepNeed): boolean {
  return left.cpus === right.cpus && left.memoryBytes === right.memoryBytes && left.gpus === right.gpus;
}
