import type { StepPlan } from "../protocol/plan.ts";
import type { StepState } from "../protocol/states.ts";
import type { EndState, StepRunSpec } from "./graph.ts";
import { Queue } from "./queue.ts";

/** The nodes that a RunGraph works on: see graph.ts. */

/** What becomes of a batch follows from the worst end of its items. An item is only skipped after a worse one. */
const SEVERITY: Readonly<Record<EndState, number>> = { succeeded: 0, skipped: 1, cancelled: 2, failed: 3 };

export interface StepNode {
  readonly plan: StepPlan;
  readonly dependents: StepNode[];
  readonly runs: RunNode[];
  /** Steps needed, and own step runs, that did not succeed yet. */
  openNeeds: number;
  openRuns: number;
  /** Whether it can no longer succeed; what needs it was skipped then. */
  broken: boolean;
  /** Batch items that are ready or started, and those that `batch.parallel` holds back. */
  activeItems: number;
  readonly waitingItems: Queue<RunNode>;
}

export interface RunNode {
  readonly spec: StepRunSpec;
  readonly step: StepNode;
  readonly batch: RunNode | null;
  state: RunNodeState;
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
  const openNeeds = plan.needs.length;
  return { plan, dependents: [], runs: [], openNeeds, openRuns: 0, broken: false, activeItems: 0, waitingItems };
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

export function isEnd(state: RunNodeState | StepState): state is EndState {
  return Object.hasOwn(SEVERITY, state);
}
