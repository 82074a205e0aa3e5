import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { RunGraph } from "../pipeline/graph.ts";
import type { EndState } from "../pipeline/run-graph-node.ts";
import type { StepRunSpec } from "../pipeline/step-runs.ts";
import { type Fault, fault } from "../protocol/faults.ts";
import type { Plan } from "../protocol/plan.ts";
import type { AttemptResult, AttemptWork } from "../runtime/attempt-work.ts";
import type { Reservation } from "../runtime/reservation.ts";
import { takeOverRoom } from "./adopted-room.ts";
import { FirstFaults } from "./first-faults.ts";
import { finalStepState, platformUsedUp } from "./next-attempt.ts";
import { PrepareAhead } from "./prepare-ahead.ts";
import type { KnownProgress } from "./prior-states.ts";
import { QueueLimits } from "./queue-limits.ts";
import type { AttemptOrder, RunAttempts } from "./run-attempts.ts";
import type { RunEnd } from "./run-end.ts";
import { type AttemptHistory, isOpen, isUnderWay, type RunHistory } from "./run-history.ts";
import type { RunLink } from "./run-link.ts";
import { SlotTurn } from "./slot-turn.ts";
import type { StepCache } from "./step-cache.ts";
import type { StepConditions } from "./step-conditions.ts";
import { passedMax, type StepNeed, tooLarge } from "./step-need.ts";
import { StepReports } from "./step-reports.ts";
import type { StepSlots } from "./step-slots.ts";
import { StepStops } from "./step-stops.ts";
import { StepTries, type Tries } from "./step-tries.ts";
import { PARKED_MAX, StepWaits } from "./step-waits.ts";
import type { Works } from "./step-works.ts";

export interface RunStepsOptions {
  readonly plan: Pick<Plan, "steps" | "failFast">;
  readonly history: RunHistory;
  /** Of the phase to drive. */
  readonly graph: RunGraph;
  /** What is known from before; outputs are added as steps end. */
  readonly known: KnownProgress;
  readonly works: Works;
  readonly conditions: Pick<StepConditions, "applies" | "isMet">;
  readonly cache: Pick<StepCache, "applies" | "find" | "recordOf">;
  readonly slots: StepSlots;
  readonly link: RunLink;
  readonly attempts: RunAttempts;
  /** How many step runs are made ready behind each that runs; 0 where the backend cannot. */
  readonly aheadMax: number;
  /** Aborted with a StopReason. */
  readonly stop: AbortSignal;
  /** Something went wrong that no step run can be blamed for; what runs is to be stopped. */
  onFailure(error: unknown): void;
  readonly log: Logger;
}

/** Drives one phase of a run: starts what is ready as slots allow, and reports what follows from each end. */
export class RunSteps {
  readonly #options: RunStepsOptions;
  readonly #end = Promise.withResolvers<RunEnd>();
  /** Handed out by the graph, and waiting for a slot. */
  readonly #waiting: StepRunSpec[] = [];
  /** Waiting for an image, or for the items of their batch to be known. */
  #parked = 0;
  /** Batches being split and step runs that have an attempt. */
  #active = 0;
  #failure: unknown = null;
  readonly #faults: FirstFaults;
  readonly #tries: StepTries;
  readonly #queueLimits: QueueLimits;
  readonly #waits: StepWaits;
  readonly #stops: StepStops;
  readonly #ahead: PrepareAhead;
  readonly #reports: StepReports;
  readonly #turn: SlotTurn;
  readonly #passedMax: number;
  /** Step runs whose condition is met, and those whose result is not known from before. */
  readonly #decided = new Set<string>();
  readonly #unknown = new Set<string>();

  constructor(options: RunStepsOptions) {
    this.#options = options;
    this.#faults = new FirstFaults(options.history, (key) => options.graph.isCounted(key));
    this.#tries = new StepTries(options.known, options.history);
    const { plan, stop } = options;
    const alone = new Set(
      plan.steps.filter(({ failFast }) => plan.failFast || failFast === true).map(({ name }) => name),
    );
    this.#stops = new StepStops(stop, (step) => alone.has(step));
    this.#reports = new StepReports({ ...options, faults: this.#faults, stops: this.#stops });
    this.#ahead = new PrepareAhead({ ...options, tries: this.#tries, stops: this.#stops });
    const { slots, link } = options;
    this.#passedMax = passedMax(plan.steps);
    this.#waits = new StepWaits(plan.steps);
    this.#turn = new SlotTurn({ slots, unsent: () => link.outbox.backlog, onTurn: () => this.#pump() });
    this.#queueLimits = new QueueLimits(options.plan.steps, (key, limitMs) => this.#waitedTooLong(key, limitMs));
  }

  /** Starts nothing of the phase: it is not wanted. */
  async skip(): Promise<void> {
    const { graph } = this.#options;
    await this.#reports.consequences(graph.restored);
    await this.#reports.consequences(graph.skip());
  }

  /** Resolves when every step run has ended; rejects when some were left running, or could not be driven. */
  async run(): Promise<RunEnd> {
    const { graph, stop } = this.#options;
    const { splitBefore } = this.#options.known;
    for (const { stepRun, items } of splitBefore.filter((batch) => graph.stateOf(batch.stepRun) !== null))
      await this.#reports.report({ type: "step.expanded", stepRun, items });
    // The ends of items come before that of their batch.
    await this.#reports.consequences(graph.restored, this.#reportUnreported());
    this.#resume();
    this.#stopAgain();
    if (stop.aborted) this.#stopped();
    else stop.addEventListener("abort", () => this.#stopped(), { once: true });
    this.#pump();
    return this.#end.promise;
  }

  /** Takes over what an earlier process had under way. It already runs, so it waits for no slot. */
  #resume(): void {
    const last = this.#ownAttempts().map((attempts) => attempts.at(-1)!);
    const works = new Map(last.filter(isUnderWay).map(({ work }) => [work.ref.stepRun, work]));
    // The graph hands out first what already ran, and what is to be tried again.
    for (const stepRun of this.#options.graph.ready(last.filter(isOpen).length)) {
      const work = works.get(stepRun.key);
      if (work === undefined) this.#waiting.push(stepRun);
      else this.#begin(() => this.#goOn(stepRun, work));
    }
  }

  async #goOn(stepRun: StepRunSpec, work: AttemptWork): Promise<void> {
    using _room = takeOverRoom(this.#options.slots, this.#options.attempts.backend, work);
    await this.#runStep(stepRun, work);
  }

  /** What the journal says of the attempts of this phase, by step run. */
  #ownAttempts(): AttemptHistory[][] {
    const { history, graph } = this.#options;
    return [...history.attempts].filter(([key]) => graph.stateOf(key) !== null).map(([, attempts]) => attempts);
  }

  /** Ends that were journaled, but not reported: outputs were still on their way. Returns whose they are. */
  #reportUnreported(): string[] {
    const { known, works, attempts, graph, history } = this.#options;
    const before: string[] = [];
    for (const { work, result } of history.unreported) {
      const { stepRun } = work.ref;
      if (result === null || graph.stateOf(stepRun) === null) continue;
      // What stopped it, if anything did, ended before it.
      const causes = result.outcome.state === "cancelled" ? [...before] : [];
      const consumed = works.consumed(known.specs.get(stepRun)!);
      attempts.reportAgain({ work, consumed, causes: () => causes }, result);
      before.push(stepRun);
    }
    return before;
  }

  /** What failed under this lease, and stopped others, still does. */
  #stopAgain(): void {
    const { graph } = this.#options;
    for (const attempts of this.#ownAttempts()) {
      const { stepRun } = attempts[0]!.work.ref;
      for (const { key } of graph.stoppedBy(stepRun)) this.#stops.stop(key, stepRun);
    }
  }

  /** Starts what can start now. */
  #pump(): void {
    if (this.#queueLimits.any) this.#takeAllReady();
    let passed = 0;
    const refused: StepNeed[] = [];
    while (!this.#options.stop.aborted && this.#parked < PARKED_MAX) {
      const stepRun = this.#waiting.splice(passed, 1)[0] ?? this.#options.graph.ready(1)[0];
      if (stepRun === undefined) break;
      if (this.#stops.has(stepRun.key)) this.#begin(() => this.#settleStopped(stepRun));
      else if (this.#mustDecide(stepRun)) this.#begin(() => this.#decide(stepRun));
      else if (stepRun.isBatch) this.#begin(() => this.#split(stepRun));
      else if (!this.#tryStart(stepRun, refused)) {
        this.#waiting.splice(passed, 0, stepRun);
        if (++passed > this.#passedMax) break;
      }
    }
    this.#turn.waitFor(refused);
    this.#endIfDone();
  }

  #mustDecide(stepRun: StepRunSpec): boolean {
    return this.#options.conditions.applies(stepRun) && !this.#decided.has(stepRun.key);
  }

  async #decide(stepRun: StepRunSpec): Promise<void> {
    const met = await this.#options.conditions.isMet(stepRun, this.#stops.all);
    await this.#needsCommitted(stepRun);
    if (this.#stops.has(stepRun.key)) return this.#settleStopped(stepRun);
    if (met === false) return this.#settle(stepRun, "skipped", fault("condition", "Its condition is not met."), null);
    if (met !== true) return this.#settle(stepRun, "failed", met, null);
    this.#decided.add(stepRun.key);
    this.#enqueue(stepRun);
  }

  /**
   * Whoever takes the run over makes again what is not committed, perhaps otherwise. What follows from it without an
   * attempt, whose report waits by itself, is said after that.
   */
  #needsCommitted(stepRun: StepRunSpec): Promise<void> {
    return this.#options.link.commits.reported(this.#options.works.needed(stepRun));
  }

  /** Takes what an earlier run made; what runs a second time does so for a reason, and takes nothing. */
  async #lookUp(stepRun: StepRunSpec): Promise<void> {
    const { cache, known, graph } = this.#options;
    const { key } = stepRun;
    const isFirst = this.#tries.of(key).attempt === 1;
    const hit = await cache.find(stepRun, { mayTake: isFirst, signal: this.#stops.all });
    const record = cache.recordOf(stepRun);
    if (hit !== null) await this.#needsCommitted(stepRun);
    if (this.#stops.has(key)) return this.#settleStopped(stepRun);
    if (hit === null || record === undefined) {
      this.#unknown.add(key);
      return this.#enqueue(stepRun);
    }
    const outputs = Object.entries(hit.outputs).map(([name, content]) => ({ name, content }));
    const from = { run: hit.run, number: hit.number };
    await this.#reports.report({ type: "step.cached", stepRun: key, cache: record, from, outputs });
    known.outputs.set(key, hit.outputs);
    this.#waits.ended(stepRun);
    await this.#reports.consequences(graph.settle(key, "succeeded"));
  }

  /** Whose wait is limited has to be known, although its turn is not yet near. */
  #takeAllReady(): void {
    if (this.#stops.all.aborted) return;
    for (const stepRun of this.#options.graph.ready()) this.#enqueue(stepRun);
  }

  #enqueue(stepRun: StepRunSpec): void {
    this.#waiting.push(stepRun);
    if (!stepRun.isBatch) this.#queueLimits.begin(stepRun);
  }

  #waitedTooLong(key: string, limitMs: number): void {
    const index = this.#waiting.findIndex((waiting) => waiting.key === key);
    if (index < 0) return;
    const [stepRun] = this.#waiting.splice(index, 1);
    const message = `The step had no room on its worker within its queueTimeout of ${limitMs / 1000} s.`;
    this.#begin(() => this.#settle(stepRun!, "failed", fault("deadline-queue", message), null));
  }

  /** False when there is no room for it now, and it starts when its turn has come: its need is among those `refused`. */
  #tryStart(stepRun: StepRunSpec, refused: StepNeed[]): boolean {
    const { works, slots, cache } = this.#options;
    const tries = this.#tries.of(stepRun.key);
    const { notBefore, faults } = tries;
    const usedUp = platformUsedUp(faults, works.rules(stepRun));
    if (usedUp !== null) {
      this.#begin(() => this.#settle(stepRun, "failed", usedUp, null));
      return true;
    }
    const pauseMs = notBefore === null ? 0 : notBefore - performance.now();
    const obstacle =
      pauseMs > 0
        ? sleep(pauseMs, null, { signal: this.#stops.signalOf(stepRun) }).catch(() => null)
        : works.ready(stepRun);
    if (obstacle instanceof Promise) {
      this.#park(stepRun, pauseMs > 0 ? obstacle : this.#waits.forImage(stepRun, obstacle));
    } else if (obstacle !== null) {
      this.#begin(() => this.#settle(stepRun, "failed", obstacle, null));
    } else if (cache.applies(stepRun) && !this.#unknown.has(stepRun.key)) {
      this.#begin(() => this.#lookUp(stepRun));
    } else {
      const need = works.need(stepRun, tries);
      const lacks = slots.lacks(need);
      const slot = lacks === null ? this.#turn.take(need) : null;
      if (lacks === null && slot === null) {
        this.#queueLimits.begin(stepRun);
        refused.push(need);
        return false;
      }
      this.#queueLimits.end(stepRun.key);
      if (slot === null) this.#begin(() => this.#settle(stepRun, "failed", tooLarge(lacks!), null));
      else this.#begin(() => this.#runStep(stepRun, null, slot.reserved).finally(() => slot[Symbol.dispose]()));
    }
    return true;
  }

  #park(stepRun: StepRunSpec, obstacle: Promise<Fault | null>): void {
    this.#queueLimits.end(stepRun.key);
    this.#parked += 1;
    this.#begin(async () => {
      await obstacle;
      this.#parked -= 1;
      if (this.#stops.has(stepRun.key)) await this.#settleStopped(stepRun);
      else this.#enqueue(stepRun);
    });
  }

  #begin(act: () => Promise<void>): void {
    this.#active += 1;
    act()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#active -= 1;
        this.#pump();
      });
  }

  /** One attempt of a step run, and what follows from its end; with `resumed`, an attempt that already began. */
  async #runStep(stepRun: StepRunSpec, resumed: AttemptWork | null, reserved?: Reservation): Promise<void> {
    const { works, attempts } = this.#options;
    if (resumed === null && this.#stops.has(stepRun.key)) return this.#settleStopped(stepRun);
    const tries = this.#tries.of(stepRun.key);
    const order: AttemptOrder = {
      work: resumed ?? this.#workOf(stepRun, tries, reserved!),
      consumed: works.consumed(stepRun),
      rules: works.rules(stepRun),
      ...(resumed === null && { waited: this.#waits.take(stepRun) }),
      before: tries.faults,
      cache: this.#options.cache.recordOf(stepRun),
      stop: this.#stops.signalOf(stepRun),
      causes: () => this.#stops.causesOf(stepRun.key),
    };
    using _ahead = this.#ahead.begin(stepRun);
    const { result, next } = await attempts.run(order, resumed !== null);
    if (!next.again) return this.#settle(stepRun, finalStepState(result.outcome), result.outcome.fault, result);
    this.#tries.note(stepRun.key, order.work.ref.attempt, result.outcome, next);
    this.#waits.attemptEnded(stepRun);
    if (this.#stops.has(stepRun.key)) return this.#settleStopped(stepRun);
    // It has waited for its turn before: when its pause is over it comes first.
    this.#waiting.unshift(stepRun);
  }

  /** An attempt that was made ready keeps what it was made of. */
  #workOf(stepRun: StepRunSpec, tries: Tries, reserved: Reservation): AttemptWork {
    const { works, attempts } = this.#options;
    const inputs = works.inputs(stepRun);
    return { ...(attempts.prepared(stepRun.key) ?? works.work(stepRun, tries, reserved)), inputs };
  }

  async #split(batch: StepRunSpec): Promise<void> {
    const { works, graph } = this.#options;
    const items = await works.split(batch);
    await this.#needsCommitted(batch);
    if (this.#stops.has(batch.key)) return this.#settleStopped(batch);
    if (typeof items !== "number") return this.#settle(batch, "failed", items, null);
    await this.#reports.report({ type: "step.expanded", stepRun: batch.key, items });
    this.#waits.split(batch);
    await this.#reports.consequences(graph.expand(batch.key, items).consequences);
  }

  async #settle(stepRun: StepRunSpec, state: EndState, why: Fault | null, result: AttemptResult | null): Promise<void> {
    const { known, graph } = this.#options;
    this.#stops.forget(stepRun.key);
    this.#waits.ended(stepRun);
    if (result === null) await this.#reports.report({ type: "step.finished", stepRun: stepRun.key, state, fault: why });
    else known.outputs.set(stepRun.key, result.outputs);
    if (state === "failed" && why !== null) this.#faults.note(stepRun, why);
    const consequences = graph.settle(stepRun.key, state, why?.code === "condition");
    for (const { key } of graph.stoppedBy(stepRun.key)) this.#stops.stop(key, stepRun.key);
    await this.#reports.consequences(consequences, [stepRun.key]);
  }

  /** The end of a step run that was handed out and then did not start. */
  async #settleStopped(stepRun: StepRunSpec): Promise<void> {
    if (this.#stops.isDetach) return;
    await this.#options.link.commits.reported(this.#stops.causesOf(stepRun.key));
    await this.#settle(stepRun, "cancelled", this.#stops.faultOf(stepRun.key), null);
  }

  #stopped(): void {
    const { graph } = this.#options;
    this.#queueLimits[Symbol.dispose]();
    this.#turn.leave();
    if (this.#stops.isDetach) {
      this.#waiting.length = 0;
      // Where nothing runs, nothing else would end it.
      this.#pump();
    } else {
      const waiting = this.#waiting.splice(0);
      this.#begin(async () => {
        await this.#reports.consequences(graph.cancel());
        for (const stepRun of waiting) await this.#settleStopped(stepRun);
      });
    }
  }

  #fail(error: unknown): void {
    if (this.#failure === null && !this.#options.stop.aborted) this.#options.onFailure(error);
    this.#failure ??= error;
  }

  #endIfDone(): void {
    if (this.#active > 0 || this.#waiting.length > 0) return;
    const { graph, stop } = this.#options;
    const state = graph.outcome;
    if (this.#failure !== null) this.#end.reject(this.#failure);
    else if (state !== null) this.#end.resolve({ state, fault: state === "failed" ? this.#faults.ofRun() : null });
    else if (stop.aborted) this.#end.reject(new Error("step runs were left where they are"));
    else this.#fail(new Error("the run is not done, and nothing of it can start"));
  }
}
