import { type Scalar, stepRunKey } from "../protocol/names.ts";
import type { Plan } from "../protocol/plan.ts";
import type { StepState } from "../protocol/states.ts";
import { Queue } from "./queue.ts";
import {
  countItem,
  isEnd,
  newStepNode,
  nextWaiting,
  type RunNode,
  type RunNodeState,
  type StepNode,
} from "./run-graph-node.ts";

/** One step inside one run: what the server stores and the agent starts. */
export interface StepRunSpec {
  /** Unique within the run: `train[model=forest]`, `score[7]`. */
  readonly key: string;
  readonly step: string;
  /** Order of display; the items of a batch share their parent's and follow it by item. */
  readonly position: number;
  readonly matrix: Readonly<Record<string, Scalar>> | null;
  /** Number of the batch item, from 0; null for all others. */
  readonly item: number | null;
  /** Key of the batch that an item belongs to. */
  readonly parent: string | null;
  /** A batch as a whole: it runs no attempt, but is split into items once its input is there. */
  readonly isBatch: boolean;
}

/** The step runs that exist when a run is created: one per step, or per combination of its matrix. */
export function initialStepRuns(plan: Pick<Plan, "steps">): StepRunSpec[] {
  const specs: StepRunSpec[] = [];
  for (const { name, matrix: combinations, batch } of plan.steps) {
    for (const matrix of combinations ?? [null]) {
      const key = stepRunKey(name, matrix, null);
      specs.push({
        key,
        step: name,
        position: specs.length,
        matrix,
        item: null,
        parent: null,
        isBatch: batch !== null,
      });
    }
  }
  return specs;
}

/** The items that a batch is split into. */
export function batchItems(parent: StepRunSpec, count: number): StepRunSpec[] {
  const { step, position, matrix } = parent;
  return Array.from({ length: count }, (_, item) => {
    return { key: stepRunKey(step, matrix, item), step, position, matrix, item, parent: parent.key, isBatch: false };
  });
}

/** How a step run can end. */
export type EndState = "succeeded" | "failed" | "skipped" | "cancelled";

/** The end of a step run that followed from something else: skipped, or a batch whose last item ended. */
export interface Consequence {
  readonly stepRun: StepRunSpec;
  readonly state: EndState;
}

/** What is known of a step run when a run is taken over: a part of protocol/agent-api.ts PriorStepRun. */
export interface PriorState {
  readonly stepRun: string;
  readonly state: StepState;
  /** For a batch that was split. */
  readonly items: number | null;
}

/**
 * Says which step runs can start, and what follows from the end of each. It keeps counters and queues and never looks
 * for work by scanning, so that a whole run costs time linear in its step runs and needs.
 *
 * A step run is ready when every step it needs has succeeded, with all of its combinations and items. `ready` hands
 * each out once; whoever takes it starts it, retries it as often as it likes, and reports its end to `settle`. A batch
 * as a whole is handed out too: it is split by `expand`, or, where that is impossible, settled as failed.
 *
 * A failure skips every step that needs the failed one. Within a batch it skips the items that were not handed out:
 * they could not save the batch. Other combinations of a matrix and other branches go on.
 */
export class RunGraph {
  readonly #steps = new Map<string, StepNode>();
  readonly #runs = new Map<string, RunNode>();
  readonly #ready = new Queue<RunNode>();
  readonly #ends: Record<EndState, number> = { succeeded: 0, failed: 0, skipped: 0, cancelled: 0 };
  #cancelled = false;
  /** Ends that follow from the prior states but were not among them: they are still to be reported. */
  readonly restored: readonly Consequence[];

  constructor(plan: Pick<Plan, "steps">, prior: readonly PriorState[] = []) {
    for (const step of plan.steps) this.#steps.set(step.name, newStepNode(step));
    for (const step of this.#steps.values()) {
      for (const need of step.plan.needs) this.#step(need).dependents.push(step);
    }
    for (const spec of initialStepRuns(plan)) {
      const step = this.#step(spec.step);
      step.runs.push(this.#add(spec, step, null));
      step.openRuns++;
    }
    this.restored = this.#restore(prior);
  }

  /**
   * Takes step runs that can start now, at most `limit`, those that became ready first; after a take-over, first of
   * all those that already ran. Each is handed out once.
   */
  ready(limit = Number.POSITIVE_INFINITY): StepRunSpec[] {
    const taken: StepRunSpec[] = [];
    while (taken.length < limit) {
      const run = this.#ready.shift();
      if (run === undefined) break;
      if (run.state !== "ready") continue;
      run.state = "started";
      taken.push(run.spec);
    }
    return taken;
  }

  /** What would become ready if this step run succeeded now: worth preparing ahead. */
  readyAfter(key: string): StepRunSpec[] {
    const { step, batch } = this.#run(key);
    const waiting = batch === null ? undefined : nextWaiting(step.waitingItems);
    if (waiting !== undefined) return [waiting.spec];
    if (step.openRuns > 1 || (batch !== null && batch.openItems > 1)) return [];
    return step.dependents
      .filter(({ openNeeds, broken }) => openNeeds === 1 && !broken)
      .flatMap(({ runs }) => runs.filter(({ state }) => state === "waiting").map(({ spec }) => spec));
  }

  /** Splits a batch that was handed out; its items become ready. Returns them, and what followed at once. */
  expand(key: string, count: number): { items: StepRunSpec[]; consequences: Consequence[] } {
    const batch = this.#run(key);
    if (!batch.spec.isBatch || batch.items !== null || batch.state !== "started") {
      throw new TypeError(`${key} is no batch that was handed out and not split yet`);
    }
    const items = this.#split(batch, count);
    const consequences: Consequence[] = [];
    if (count === 0) this.#endNow(batch, "succeeded", consequences);
    else if (this.#cancelled) for (const item of items) this.#endNow(item, "cancelled", consequences);
    else this.#offerItems(batch);
    return { items: items.map(({ spec }) => spec), consequences };
  }

  /** Records how a step run that was handed out ended, and returns what followed from it, in order. */
  settle(key: string, state: EndState): Consequence[] {
    const run = this.#run(key);
    if (run.state !== "started") throw new TypeError(`${key} is ${run.state} and cannot become ${state}`);
    if (run.items !== null) throw new TypeError(`${key} was split: it ends with its items`);
    const consequences: Consequence[] = [];
    this.#end(run, state, consequences);
    return consequences;
  }

  /** Hands out nothing more, and returns all that thereby ends. What was handed out is still to be settled. */
  cancel(): Consequence[] {
    this.#cancelled = true;
    const consequences: Consequence[] = [];
    for (const run of this.#runs.values()) {
      if (run.state === "waiting" || run.state === "ready") this.#endNow(run, "cancelled", consequences);
    }
    return consequences;
  }

  /** Null when there is no such step run, such as an item of a batch that was not split yet. */
  stateOf(key: string): RunNodeState | null {
    return this.#runs.get(key)?.state ?? null;
  }

  /** The step runs of a step whose outputs a consumer reads, in order: items in the place of their batch. */
  producers(step: string): StepRunSpec[] {
    return this.#step(step).runs.flatMap((run) => (run.items ?? [run]).map(({ spec }) => spec));
  }

  get isDone(): boolean {
    const { succeeded, failed, skipped, cancelled } = this.#ends;
    return succeeded + failed + skipped + cancelled === this.#runs.size;
  }

  /** How the run ended; null while it goes on. */
  get outcome(): "succeeded" | "failed" | "cancelled" | null {
    if (!this.isDone) return null;
    if (this.#ends.cancelled > 0) return "cancelled";
    return this.#ends.failed + this.#ends.skipped > 0 ? "failed" : "succeeded";
  }

  #step(name: string): StepNode {
    const step = this.#steps.get(name);
    if (step === undefined) throw new TypeError(`the plan has no step ${name}`);
    return step;
  }

  #run(key: string): RunNode {
    const run = this.#runs.get(key);
    if (run === undefined) throw new TypeError(`there is no step run ${key}`);
    return run;
  }

  #add(spec: StepRunSpec, step: StepNode, batch: RunNode | null): RunNode {
    const run = {
      spec,
      step,
      batch,
      state: "waiting",
      items: null,
      openItems: 0,
      worst: "succeeded",
      broken: false,
      wasRunning: false,
    };
    this.#runs.set(spec.key, run as RunNode);
    return run as RunNode;
  }

  #split(batch: RunNode, count: number): RunNode[] {
    batch.items = batchItems(batch.spec, count).map((spec) => this.#add(spec, batch.step, batch));
    batch.openItems = count;
    batch.state = "started";
    return batch.items;
  }

  /** Applies the states themselves first and then what follows from them, so that their order does not matter. */
  #restore(prior: readonly PriorState[]): Consequence[] {
    for (const { stepRun, items } of prior) if (items !== null) this.#split(this.#run(stepRun), items);
    const ended: RunNode[] = [];
    for (const { stepRun, state } of prior) {
      const run = this.#run(stepRun);
      run.wasRunning = state === "running";
      if (!isEnd(state)) continue;
      run.state = state;
      this.#ends[state]++;
      ended.push(run);
    }
    const consequences: Consequence[] = [];
    for (const run of ended) if (run.batch !== null) countItem(run.batch, run.state as EndState);
    for (const run of ended) if (run.batch === null) this.#countRun(run, consequences);
    for (const { stepRun, items } of prior) if (items !== null) this.#settleBatch(this.#run(stepRun), consequences);
    for (const step of this.#steps.values()) if (step.openNeeds === 0) this.#open(step);
    const queued = Array.from({ length: this.#ready.size }, () => this.#ready.shift()!);
    for (const run of queued) if (run.wasRunning) this.#ready.push(run);
    for (const run of queued) if (!run.wasRunning) this.#ready.push(run);
    return consequences;
  }

  /** Everything that the step needs has succeeded. */
  #open(step: StepNode): void {
    for (const run of step.runs) {
      if (run.items !== null) this.#offerItems(run);
      else if (run.state === "waiting") this.#makeReady(run);
    }
  }

  #offerItems({ items, step }: RunNode): void {
    for (const wasRunning of [true, false]) {
      for (const item of items ?? []) {
        if (item.state === "waiting" && item.wasRunning === wasRunning) step.waitingItems.push(item);
      }
    }
    this.#fillBatch(step);
  }

  #fillBatch(step: StepNode): void {
    const parallel = step.plan.batch?.parallel ?? 1;
    while (step.activeItems < parallel) {
      const item = nextWaiting(step.waitingItems);
      if (item === undefined) break;
      step.waitingItems.shift();
      step.activeItems++;
      this.#makeReady(item);
    }
  }

  #makeReady(run: RunNode): void {
    run.state = "ready";
    this.#ready.push(run);
  }

  /** Ends a step run of the graph's own accord. */
  #endNow(run: RunNode, state: EndState, consequences: Consequence[]): void {
    consequences.push({ stepRun: run.spec, state });
    this.#end(run, state, consequences);
  }

  #end(run: RunNode, state: EndState, consequences: Consequence[]): void {
    const wasActive = run.state === "ready" || run.state === "started";
    run.state = state;
    this.#ends[state]++;
    if (run.batch === null) {
      this.#countRun(run, consequences);
      return;
    }
    countItem(run.batch, state);
    if (wasActive) run.step.activeItems--;
    this.#settleBatch(run.batch, consequences);
    this.#fillBatch(run.step);
  }

  /** Draws the conclusions for a batch from how its items ended so far. */
  #settleBatch(batch: RunNode, consequences: Consequence[]): void {
    if (isEnd(batch.state)) return;
    if (batch.openItems === 0) {
      this.#endNow(batch, batch.worst, consequences);
      return;
    }
    if (batch.worst === "succeeded" || this.#cancelled || batch.broken) return;
    batch.broken = true;
    for (const item of batch.items!) {
      if (item.state === "waiting" || item.state === "ready") this.#endNow(item, "skipped", consequences);
    }
  }

  /** Draws the conclusions for other steps from the end of a step run that is no item. */
  #countRun({ step, state }: RunNode, consequences: Consequence[]): void {
    if (state !== "succeeded") {
      this.#breakStep(step, consequences);
      return;
    }
    step.openRuns--;
    if (step.openRuns > 0) return;
    for (const dependent of step.dependents) {
      dependent.openNeeds--;
      if (dependent.openNeeds === 0) this.#open(dependent);
    }
  }

  /** A step that cannot succeed any more takes everything with it that needs it. */
  #breakStep(first: StepNode, consequences: Consequence[]): void {
    if (first.broken) return;
    first.broken = true;
    const state = this.#cancelled ? "cancelled" : "skipped";
    const broken = [first];
    for (const step of broken) {
      for (const dependent of step.dependents) {
        if (dependent.broken) continue;
        dependent.broken = true;
        broken.push(dependent);
        for (const run of dependent.runs) {
          if (run.state !== "waiting") continue;
          run.state = state;
          this.#ends[state]++;
          consequences.push({ stepRun: run.spec, state });
        }
      }
    }
  }
}
