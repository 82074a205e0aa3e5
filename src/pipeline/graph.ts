import type { Phase, Plan } from "../protocol/plan.ts";
import { Queue } from "./queue.ts";
import {
  canBeSkipped,
  countItem,
  type EndState,
  isEnd,
  newStepNode,
  nextWaiting,
  type RunNode,
  type RunNodeState,
  readsSingle,
  type StepNode,
  worstOf,
} from "./run-graph-node.ts";
import { batchItems, type Consequence, initialStepRuns, type PriorState, type StepRunSpec } from "./step-runs.ts";

type GraphPlan = Pick<Plan, "steps"> & Partial<Pick<Plan, "failFast">>;

/**
 * Says which step runs of one phase can start, and what follows from the end of each. It keeps counters and queues and
 * never looks for work by scanning, so that a whole run costs time linear in its step runs and needs.
 *
 * A step run is ready when every step it needs has succeeded, with all of its combinations and items, and every step
 * whose state its condition looks at has ended. `ready` hands each out once; whoever takes it decides its condition,
 * starts it, retries it as often as it likes, and reports its end to `settle`. A batch as a whole is handed out too: it
 * is split by `expand`, or, where that is impossible, settled as failed.
 *
 * A failure skips every step that needs the failed one, unless that may fail. Within a batch it skips the items that
 * were not handed out: they could not save the batch. Other combinations of a matrix and other branches go on.
 */
export class RunGraph {
  readonly #steps = new Map<string, StepNode>();
  readonly #runs = new Map<string, RunNode>();
  readonly #ready = new Queue<RunNode>();
  readonly #ends: Record<EndState, number> = { succeeded: 0, failed: 0, skipped: 0, cancelled: 0 };
  readonly #failFast: boolean;
  /** Step runs that failed and should not have. */
  #failures = 0;
  /** Step runs that were skipped after something failed; a run that has them cannot have succeeded. */
  #unmade = 0;
  #cancelled = false;
  /** Ends that follow from the prior states but were not among them: they are still to be reported. */
  readonly restored: readonly Consequence[];

  constructor(plan: GraphPlan, prior: readonly PriorState[] = [], phase: Phase = "main") {
    this.#failFast = plan.failFast ?? false;
    for (const step of plan.steps) if (step.phase === phase) this.#steps.set(step.name, newStepNode(step));
    for (const step of this.#steps.values()) this.#connect(step);
    for (const spec of initialStepRuns(plan)) {
      const step = this.#steps.get(spec.step);
      if (step === undefined) continue;
      step.runs.push(this.#add(spec, step, null));
      step.openRuns++;
      step.unendedRuns++;
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

  /** What would surely become ready if this step run succeeded now: worth preparing ahead. */
  readyAfter(key: string): StepRunSpec[] {
    const { step, batch } = this.#run(key);
    const waiting = batch === null ? undefined : nextWaiting(step.waitingItems);
    if (waiting !== undefined) return [waiting.spec];
    if (step.openRuns > 1 || (batch !== null && batch.openItems > 1)) return [];
    return step.dependents
      .filter(({ openNeeds, skipped, plan }) => openNeeds === 1 && !skipped && plan.when === null)
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
    const endedAs = this.#cancelled ? "cancelled" : this.#isFailingFast ? "skipped" : null;
    if (count === 0) this.#endNow(batch, "succeeded", consequences);
    else if (endedAs !== null) for (const item of items) this.#endNow(item, endedAs, consequences);
    else this.#offerItems(batch);
    return { items: items.map(({ spec }) => spec), consequences };
  }

  /**
   * Records how a step run that was handed out ended, and returns what followed from it, in order. `byCondition`: it was
   * skipped because its condition is not met.
   */
  settle(key: string, state: EndState, byCondition = false): Consequence[] {
    const run = this.#run(key);
    if (run.state !== "started") throw new TypeError(`${key} is ${run.state} and cannot become ${state}`);
    if (run.items !== null) throw new TypeError(`${key} was split: it ends with its items`);
    const consequences: Consequence[] = [];
    this.#end(run, state, byCondition, consequences);
    return consequences;
  }

  /** What was handed out and is to be stopped because this step run failed: its siblings, or everything. */
  stoppedBy(key: string): StepRunSpec[] {
    const { step, state } = this.#run(key);
    if (state !== "failed") return [];
    const runs = this.#isFailingFast
      ? [...this.#runs.values()]
      : step.plan.failFast === true
        ? step.runs.flatMap((run) => run.items ?? [run])
        : [];
    return runs.filter((run) => run.state === "started" && run.items === null).map(({ spec }) => spec);
  }

  /** Hands out nothing more, and returns all that thereby ends. What was handed out is still to be settled. */
  cancel(): Consequence[] {
    this.#cancelled = true;
    return this.#endRest("cancelled", false);
  }

  /** Nothing of this phase is wanted: everything that was not handed out is skipped. */
  skip(): Consequence[] {
    return this.#endRest("skipped", true);
  }

  /** Null when there is no such step run, such as an item of a batch that was not split yet. */
  stateOf(key: string): RunNodeState | null {
    return this.#runs.get(key)?.state ?? null;
  }

  /** What all of a step came to; `running` until all of it has ended. */
  stateOfStep(name: string): EndState | "running" {
    const states = this.#step(name).runs.map(({ state }) => state);
    return states.every((state): state is EndState => isEnd(state)) ? worstOf(states) : "running";
  }

  /** The step runs of a step whose outputs a consumer reads, in order: items in the place of their batch. */
  producers(step: string): StepRunSpec[] {
    return this.#step(step).runs.flatMap((run) => (run.items ?? [run]).map(({ spec }) => spec));
  }

  /** Whether the run fails by a failure of this step run; false for what is not of this phase. */
  isCounted(key: string): boolean {
    return this.#runs.get(key)?.step.plan.allowFailure === false;
  }

  get isDone(): boolean {
    const { succeeded, failed, skipped, cancelled } = this.#ends;
    return succeeded + failed + skipped + cancelled === this.#runs.size;
  }

  /** How the run ended; null while it goes on. */
  get outcome(): "succeeded" | "failed" | "cancelled" | null {
    if (!this.isDone) return null;
    if (this.#cancelled && this.#ends.cancelled > 0) return "cancelled";
    return this.#failures > 0 || this.#unmade > 0 ? "failed" : "succeeded";
  }

  get #isFailingFast(): boolean {
    return this.#failFast && this.#failures > 0;
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

  /** Steps of an earlier phase have ended before any of this one is ready. */
  #connect(step: StepNode): void {
    const decidedBy = new Set(step.plan.when?.steps);
    for (const need of new Set([...step.plan.needs, ...decidedBy])) {
      const needed = this.#steps.get(need);
      if (needed === undefined) continue;
      (decidedBy.has(need) ? needed.deciding : needed.dependents).push(step);
      step.openNeeds++;
    }
  }

  #add(spec: StepRunSpec, step: StepNode, batch: RunNode | null): RunNode {
    const run: RunNode = {
      spec,
      step,
      batch,
      state: "waiting",
      byCondition: false,
      items: null,
      openItems: 0,
      worst: "succeeded",
      broken: false,
      wasRunning: false,
    };
    this.#runs.set(spec.key, run);
    return run;
  }

  #split(batch: RunNode, count: number): RunNode[] {
    batch.items = batchItems(batch.spec, count).map((spec) => this.#add(spec, batch.step, batch));
    batch.openItems = count;
    batch.state = "started";
    return batch.items;
  }

  /** Applies the states themselves first and then what follows from them, so that their order does not matter. */
  #restore(prior: readonly PriorState[]): Consequence[] {
    const batches: RunNode[] = [];
    for (const { stepRun, items } of prior) {
      const run = this.#runs.get(stepRun);
      if (run === undefined || items === null) continue;
      this.#split(run, items);
      batches.push(run);
    }
    const ended: RunNode[] = [];
    for (const { stepRun, state, byCondition } of prior) {
      const run = this.#runs.get(stepRun);
      if (run === undefined) continue;
      run.wasRunning = state === "running";
      if (!isEnd(state)) continue;
      this.#mark(run, state, byCondition);
      ended.push(run);
    }
    const consequences: Consequence[] = [];
    for (const run of ended) if (run.batch !== null) countItem(run.batch, run.state as EndState);
    for (const run of ended) if (run.batch === null) this.#countRun(run, consequences);
    for (const batch of batches) this.#settleBatch(batch, consequences);
    for (const step of this.#steps.values()) if (step.openNeeds === 0 && !step.skipped) this.#open(step);
    if (this.#isFailingFast) consequences.push(...this.#endRest("skipped", false));
    const queued = Array.from({ length: this.#ready.size }, () => this.#ready.shift()!);
    for (const run of queued) if (run.wasRunning) this.#ready.push(run);
    for (const run of queued) if (!run.wasRunning) this.#ready.push(run);
    return consequences;
  }

  /** Everything that the step waits for is there. */
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
  #endNow(run: RunNode, state: EndState, consequences: Consequence[], byCondition = false): void {
    consequences.push({ stepRun: run.spec, state, byCondition });
    this.#end(run, state, byCondition, consequences);
  }

  /** Ends everything that was not handed out; a batch ends with its items. */
  #endRest(state: EndState, byCondition: boolean): Consequence[] {
    const consequences: Consequence[] = [];
    for (const run of this.#runs.values()) {
      if (canBeSkipped(run) || (state === "cancelled" && (run.state === "waiting" || run.state === "ready"))) {
        this.#endNow(run, state, consequences, byCondition);
      }
    }
    return consequences;
  }

  #mark(run: RunNode, state: EndState, byCondition: boolean): void {
    run.state = state;
    run.byCondition = byCondition;
    this.#ends[state]++;
    if (state === "skipped" && !byCondition && !run.step.plan.allowFailure) this.#unmade++;
    if (state !== "failed") return;
    run.step.hasFailed = true;
    if (!run.step.plan.allowFailure) this.#failures++;
  }

  #end(run: RunNode, state: EndState, byCondition: boolean, consequences: Consequence[]): void {
    const wasActive = run.state === "ready" || run.state === "started";
    const wasFailingFast = this.#isFailingFast;
    this.#mark(run, state, byCondition);
    if (run.batch === null) {
      this.#countRun(run, consequences);
    } else {
      countItem(run.batch, state);
      if (wasActive) run.step.activeItems--;
      this.#settleBatch(run.batch, consequences);
      this.#fillBatch(run.step);
    }
    if (this.#isFailingFast && !wasFailingFast) consequences.push(...this.#endRest("skipped", false));
  }

  /** Draws the conclusions for a batch from how its items ended so far. */
  #settleBatch(batch: RunNode, consequences: Consequence[]): void {
    if (isEnd(batch.state)) return;
    if (batch.openItems === 0) {
      this.#endNow(batch, batch.worst, consequences);
      return;
    }
    const { allowFailure, failFast } = batch.step.plan;
    if (batch.worst === "succeeded" || this.#cancelled || batch.broken || failFast === false) return;
    batch.broken = true;
    for (const item of batch.items!) {
      if (canBeSkipped(item)) this.#endNow(item, "skipped", consequences, allowFailure);
    }
  }

  /** Draws the conclusions for other steps, and other combinations, from the end of a step run that is no item. */
  #countRun({ step, state, byCondition }: RunNode, consequences: Consequence[]): void {
    const { allowFailure, failFast, name } = step.plan;
    step.unendedRuns--;
    // Siblings of one that failed, and may, were stopped or skipped for it alone.
    const mayGoOn = state === "succeeded" || (allowFailure && !byCondition && step.hasFailed && !this.#cancelled);
    if (mayGoOn) step.openRuns--;
    if (!mayGoOn) this.#breakStep(step, byCondition, consequences);
    else if (step.openRuns === 0) {
      for (const dependent of step.dependents) {
        if (step.hasFailed && readsSingle(dependent.plan, name)) this.#skipStep(dependent, true, consequences);
        else this.#arrive(dependent);
      }
    }
    if (step.unendedRuns === 0) for (const decided of step.deciding) this.#arrive(decided);
    if (state !== "failed" || failFast !== true) return;
    for (const run of step.runs) {
      if (canBeSkipped(run)) this.#endNow(run, "skipped", consequences, allowFailure);
      for (const item of run.items ?? []) {
        if (canBeSkipped(item)) this.#endNow(item, "skipped", consequences, allowFailure);
      }
    }
  }

  /** One of the things that the step waits for is there. */
  #arrive(step: StepNode): void {
    step.openNeeds--;
    if (step.openNeeds === 0 && !step.skipped) this.#open(step);
  }

  /** A step that cannot succeed any more takes everything with it that needs it. */
  #breakStep(first: StepNode, byCondition: boolean, consequences: Consequence[]): void {
    if (first.broken) return;
    first.broken = true;
    for (const dependent of first.dependents) this.#skipStep(dependent, byCondition, consequences);
  }

  /** The same for a step of which nothing was ready yet. Without recursion: a chain may be 5,000 long. */
  #skipStep(first: StepNode, byCondition: boolean, consequences: Consequence[]): void {
    const state = this.#cancelled ? "cancelled" : "skipped";
    const skipped = [first];
    for (const step of skipped) {
      if (step.skipped) continue;
      step.skipped = true;
      step.broken = true;
      for (const run of step.runs) {
        if (run.state !== "waiting") continue;
        this.#mark(run, state, byCondition);
        step.unendedRuns--;
        consequences.push({ stepRun: run.spec, state, byCondition });
      }
      skipped.push(...step.dependents);
      if (step.unendedRuns === 0) for (const decided of step.deciding) this.#arrive(decided);
    }
  }
}
