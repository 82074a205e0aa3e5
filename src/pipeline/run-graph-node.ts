import type { StepPlan } from "../protocol/plan.ts";
import type { StepState } from "../protocol/states.ts";
import { Queue } from "./queue.ts";
import type { StepRunSpec } from "./step-runs.ts";

/** The nodes that a RunGraph works on: see graph.ts. */

/** How a step run can end. */
export type EndState = "succeeded" | "failed" | "skipped" | "cancelled";

/** What becomes of a batch follows from the worst end of its items. An item is only skipped after a worse one. */
const SEVERITY: Readonly<Record<EndState, number>> = { succeeded: 0, skipped: 1, cancelled: 2, failed: 3 };

export interface StepNode {
  readonly plan: StepPlan;
  /** Steps that run only if this one succeeded, and those that are decided when it has ended, however it did. */
  readonly dependents: StepNode[];
  readonly deciding: StepNode[];
  readonly runs: RunNode[];
  /** What it still waits for. */
  openNeeds: number;
  /** Own step runs, other than items, that did not succeed yet, and that have not ended yet. */
  openRuns: number;
  unendedRuns: number;
  /** Whether it can no longer succeed; what depends on it was skipped then. */
  broken: boolean;
  /** Whether it was skipped itself, before anything of it was ready. */
  skipped: boolean;
  hasFailed: boolean;
  /** Batch items that are ready or started, and those that `batch.parallel` holds back. */
  activeItems: number;
  readonly waitingItems: Queue<RunNode>;
}

export interface RunNode {
  readonly spec: StepRunSpec;
  readonly step: StepNode;
  readonly batch: RunNode | null;
  state: RunNodeState;
  /** Of one that was skipped: whether only conditions are the reason. */
  byCondition: boolean;
  /** Of a batch, once it was split; how many have not ended, and the worst end so far. */
  items: RunNode[] | null;
  openItems: number;
  worst: EndState;
  /** Whether its remaining items were skipped because one did not succeed. */
  broken: boolean;
  /** Whether it ran already when the run was taken over. */
  wasRunning: boolean;
}

export type RunNodeState = "waiting" | "ready" | "started" | EndState;

export function newStepNode(plan: StepPlan): StepNode {
  const waitingItems = new Queue<RunNode>();
  const counts = { openNeeds: 0, openRuns: 0, unendedRuns: 0, activeItems: 0 };
  return {
    plan,
    dependents: [],
    deciding: [],
    runs: [],
    ...counts,
    broken: false,
    skipped: false,
    hasFailed: false,
    waitingItems,
  };
}

/** The first item that still waits; those that ended meanwhile are dropped on the way. */
export function nextWaiting(items: Queue<RunNode>): RunNode | undefined {
  while (items.size > 0 && items.peek()!.state !== "waiting") items.shift();
  return items.peek();
}

export function countItem(batch: RunNode, state: EndState): void {
  batch.openItems--;
  if (SEVERITY[state] > SEVERITY[batch.worst]) batch.worst = state;
}

/** Whether nothing of it was started; what ran when the run was taken over is still to be handed out. */
export function canBeSkipped({ state, wasRunning }: RunNode): boolean {
  return !wasRunning && (state === "waiting" || state === "ready");
}

export function worstOf(states: readonly EndState[]): EndState {
  return states.reduce((worst, state) => (SEVERITY[state] > SEVERITY[worst] ? state : worst), "succeeded");
}

export function isEnd(state: RunNodeState | StepState): state is EndState {
  return Object.hasOwn(SEVERITY, state);
}

/** Whether a consumer has nothing to read when this step failed, which it may; a gathered input has the rest. */
export function readsSingle({ inputs, batch }: StepPlan, step: string): boolean {
  return [...Object.values(inputs), ...(batch === null ? [] : [batch])].some(
    (read) => read.step === step && read.gather === "single",
  );
}
