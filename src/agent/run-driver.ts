import type { Logger } from "pino";
import { RunGraphs } from "../pipeline/run-graphs.ts";
import type { Assignment, LeaseRef } from "../protocol/agent-api.ts";
import { type CancelFacts, cancelFault, endOfCancelled, timeUp } from "../protocol/cancel.ts";
import type { Fault } from "../protocol/faults.ts";
import { stepRunKey } from "../protocol/names.ts";
import type { Phase, Plan, StepPlan } from "../protocol/plan.ts";
import type { RuntimeContext, StopReason } from "../runtime/attempt-work.ts";
import { retryBackend } from "../runtime/retry-backend.ts";
import { deadline } from "../runtime/run-deadline.ts";
import type { AgentContext, OpenBackend } from "./agent-context.ts";
import { type ChosenBackend, chooseBackend } from "./choose-backend.ts";
import { durably } from "./durably.ts";
import type { HeldRun } from "./held-runs.ts";
import { Journal } from "./journal.ts";
import type { JournalRecord } from "./journal-record.ts";
import { KnownSecrets } from "./known-secrets.ts";
import { refuseStep } from "./policy/refuse-step.ts";
import { knownProgress } from "./prior-states.ts";
import { RunAttempts } from "./run-attempts.ts";
import type { RunEnd } from "./run-end.ts";
import { listAttemptParts, runFolder, scopeOf } from "./run-folder.ts";
import { RunHistory } from "./run-history.ts";
import { RunImages } from "./run-images.ts";
import { RunLink } from "./run-link.ts";
import { runLog } from "./run-log.ts";
import { RunSteps } from "./run-steps.ts";
import { StepCache } from "./step-cache.ts";
import { StepConditions } from "./step-conditions.ts";
import { StepSecrets } from "./step-secrets.ts";
import { StepWorks } from "./step-works.ts";

/** How an earlier process left a run, and what the server knows of it. */
export interface RunLeftOver {
  readonly journal: Journal;
  readonly history: RunHistory;
  /** Last event that is durable on the server. */
  readonly ackedSeq: number;
}

/**
 * For the steps of later phases of a run that was stopped. Below STOP_MAX_MS of the server, which gives the run up after
 * that.
 */
const LATE_STEPS_MAX_MS = 10 * 60_000;

/** Drives one run under one lease, from its assignment until nothing of it is left on this worker. */
export class RunDriver implements HeldRun {
  readonly lease: LeaseRef;
  /** Resolves when this process has nothing more to do for the run; never rejects. */
  readonly ended: Promise<void>;
  readonly #context: AgentContext;
  readonly #assignment: Assignment;
  readonly #journal: Journal;
  readonly #history: RunHistory;
  readonly #known = new KnownSecrets();
  readonly #link: RunLink;
  readonly #secrets: StepSecrets;
  readonly #log: Logger;
  readonly #chosen: ChosenBackend;
  /** Null when this worker has no backend for the run. */
  readonly #attempts: RunAttempts | null;
  /** Aborted with a StopReason, by phase. */
  readonly #stops = { main: new AbortController(), on_failure: new AbortController(), finally: new AbortController() };
  #state: "driving" | "fenced" | "detached" = "driving";
  #cancelled: CancelFacts | null;
  /** How the steps of the main phase ended, once they have. */
  #mainEnd: RunEnd | null = null;
  /** Runs from when the run is stopped. */
  #lateLimit: Disposable | null = null;

  /**
   * Takes a run that was just assigned; it is journaled when this returns. Nothing of it happens before `after`: an
   * earlier lease of the same run may still be leaving this worker.
   */
  static take(context: AgentContext, assignment: Assignment, after: Promise<void>): RunDriver {
    const history = new RunHistory();
    const journal = Journal.open(runFolder(context.home, assignment), () => {});
    const assigned = { type: "assigned", assignment, at: Date.now() } as const;
    journal.append(assigned);
    history.apply(assigned);
    return new RunDriver(context, { journal, history, ackedSeq: 0 }, after);
  }

  /** Goes on with a run that an earlier process of this agent held. */
  static resume(context: AgentContext, leftOver: RunLeftOver): RunDriver {
    return new RunDriver(context, leftOver, Promise.resolve());
  }

  private constructor(context: AgentContext, { journal, history, ackedSeq }: RunLeftOver, after: Promise<void>) {
    this.#context = context;
    this.#assignment = history.assignment!;
    this.#journal = journal;
    this.#history = history;
    this.lease = history.lease!;
    this.#log = runLog(context.log, this.lease, this.#known.mask);
    this.#cancelled = history.cancel ?? this.#assignment.cancel;
    this.#link = new RunLink({
      lease: this.lease,
      client: context.client,
      cache: context.cache,
      transfers: context.transfers,
      journal,
      secrets: this.#known,
      lastSeq: history.lastSeq,
      pending: history.events.filter(({ seq }) => seq > ackedSeq),
      onCancel: (facts) => this.cancel(facts),
      onRefused: (error) => this.fence(`${error.code}: ${error.message}`),
      log: this.#log,
    });
    this.#secrets = new StepSecrets({ lease: this.lease, client: context.client, known: this.#known, log: this.#log });
    this.#chosen = chooseBackend(this.#assignment, context.backends, history.backend);
    this.#attempts = this.#chosen.ok ? this.#openAttempts(this.#chosen) : null;
    context.journals.add(journal);
    context.held.add(this);
    if (this.#cancelled !== null) this.#stopFor(this.#cancelled);
    if (history.fenced) this.fence("it was given up before");
    this.ended = after.then(() => this.#live());
  }

  get cancelled(): boolean {
    return this.#cancelled !== null;
  }

  cancel(facts: CancelFacts): void {
    if (this.#cancelled !== null || this.#state !== "driving") return;
    this.#cancelled = facts;
    this.#log.info(facts, "stopping the run");
    this.#note({ type: "cancel", facts });
    this.#stopFor(facts);
  }

  fence(why: string): void {
    if (this.#state !== "driving") return;
    this.#state = "fenced";
    this.#log.warn({ why }, "the run is not ours any more: stopping what runs for it");
    this.#note({ type: "fenced", why: this.#known.mask(why) });
    this.#context.held.delete(this);
    this.#link[Symbol.dispose]();
    this.#stopAll({ kind: "cancel", reason: "fenced", fault: null });
  }

  /** Leaves everything running for the next process of this agent. */
  async detach(): Promise<void> {
    if (this.#state === "driving") this.#state = "detached";
    this.#stopAll({ kind: "detach" });
    this.#link[Symbol.dispose]();
    await this.ended;
  }

  async #live(): Promise<void> {
    try {
      await this.#driveToEnd();
      if (this.#state !== "detached") await this.#leave();
    } catch (error) {
      this.#log.error(
        { err: error },
        "not everything of the run could be removed; the next start of the agent tries again",
      );
    } finally {
      this.#context.held.delete(this);
      await this.#journal.sync().catch(() => {});
      this.#close();
    }
  }

  async #driveToEnd(): Promise<void> {
    if (this.#state !== "driving") return;
    try {
      if (this.#history.finished) await this.#link.outbox.drained();
      else await this.#finish(await this.#runSteps());
    } catch (error) {
      // Being stopped in the middle of something is what fencing and detaching mean.
      if (this.#state !== "driving") return;
      this.#giveUp(error);
    }
  }

  /** A defect, or a broken host: the lease is left to expire, so that the run is tried again elsewhere. */
  #giveUp(error: unknown): void {
    if (this.#state !== "driving") return;
    this.#log.error({ err: error }, "the run cannot be driven any further");
    this.fence(`agent-error: ${error instanceof Error ? error.message : String(error)}`);
  }

  #openAttempts({ name, backend }: Extract<ChosenBackend, { ok: true }>): RunAttempts {
    const { installation, releasePermits, remover, config, sampler, disk } = this.#context;
    const attempts = new RunAttempts({
      runtime: {
        ...{ ...backend, cache: this.#link.source, limits: limitsOf(config), disk, mask: this.#known.mask },
        secrets: this.#secrets,
      },
      secrets: this.#known,
      backend: name,
      installation,
      link: this.#link,
      sampler,
      history: this.#history,
      releasePermits,
      remover,
      log: this.#log,
    });
    for (const { work, intended, result, released } of [...this.#history.attempts.values()].flat()) {
      if (released) continue;
      if (result !== null) attempts.adoptEnded(work, result);
      else if (intended) attempts.adoptRunning(work);
      else attempts.adoptPrepared(work);
    }
    return attempts;
  }

  async #runSteps(): Promise<RunEnd> {
    if (!this.#chosen.ok) return { state: "failed", fault: this.#chosen.fault };
    const { name, backend } = this.#chosen;
    const wait = { signal: this.#link.signal, log: this.#log };
    if (this.#history.events.length === 0) {
      await durably(() => this.#link.outbox.report({ type: "run.started", backend: name }), wait);
    }
    using _limit = this.#limitTime();
    const drive = this.#phases(name, backend);
    const main = this.#explained(await drive("main").run());
    // Whoever takes the run over makes again what is not committed, and may see another end: nothing follows before that.
    await this.#link.commits.settled();
    this.#mainEnd = main;
    if (this.#cancelled !== null) this.#limitLateSteps();
    if (main.state === "failed") await drive("on_failure").run();
    else await drive("on_failure").skip();
    const last = this.#explained(await drive("finally").run());
    return main.state === "succeeded" ? last : main;
  }

  /** The end of a phase that was stopped says by whom. */
  #explained(end: RunEnd): RunEnd {
    if (end.state !== "cancelled" || this.#cancelled === null) return end;
    return { state: endOfCancelled(this.#cancelled), fault: cancelFault(this.#cancelled) };
  }

  /** The server looks too, but it may be away. */
  #limitTime(): Disposable | null {
    const { timeLeftMs, plan } = this.#assignment;
    if (timeLeftMs === null) return null;
    const leftMs = timeLeftMs - Math.max(0, Date.now() - this.#history.assignedAt);
    return deadline(Math.max(leftMs, 0), () => this.cancel(timeUp("the worker", plan.timeoutMs ?? timeLeftMs)));
  }

  /** What drives the phases of the run, one after the other. */
  #phases(backend: string, { session, capabilities }: OpenBackend): (phase: Phase) => RunSteps {
    const { home, installation, config, policy, stepSlots: slots, sdk } = this.#context;
    const history = this.#history;
    const known = knownProgress(history);
    const { plan, source, params } = this.#assignment;
    const graphs = new RunGraphs(plan, known.states);
    const shared = { plan, link: this.#link, log: this.#log };
    const folder = runFolder(home, this.lease);
    const stopOf = (phase: Phase) => this.#stops[phase].signal;
    const images = new RunImages({
      ...{ source, folder, session, capabilities, shownAt: firstUse(plan), history, ...shared },
      registries: { lease: this.lease, client: this.#context.client, known: this.#known, log: this.#log },
      fixed: { ...this.#assignment.images, ...Object.fromEntries(history.images) },
      scans: this.#context.scans,
      secrets: this.#known,
      buildSecrets: this.#secrets,
      stopOf: (environment) => stopOf(lastUse(plan, environment)),
    });
    const { outputs } = known;
    const refusalOf = (step: StepPlan) =>
      refuseStep(policy, { step, environment: plan.environments[step.environment]!, backend, capabilities });
    const works = new StepWorks({
      ...{ home, installation, assignment: this.#assignment, graphs, outputs, images, capabilities, sdk, stopOf },
      ...{ config, limits: limitsOf(config), attemptsBefore: history.attempts.size, ...shared },
      ...{ policy, refusalOf, runEnd: () => this.#mainEnd },
    });
    const runState = () => this.#mainEnd?.state ?? "running";
    const conditions = new StepConditions({ plan, params, graphs, outputs, source: this.#link.source, runState });
    const cache = new StepCache({
      ...{ assignment: this.#assignment, client: this.#context.client, source: this.#link.source, log: this.#log },
      imageOf: (stepRun) => works.imageOf(stepRun),
      inputsOf: (stepRun) => works.inputs(stepRun),
    });
    for (const environment of openEnvironments(plan, graphs, refusalOf)) void images.prepare(environment);
    const aheadMax = capabilities.prepareAhead ? config.stepsAtOnce : 0;
    const onFailure = (error: unknown) => this.#giveUp(error);
    const parts = {
      history,
      known,
      works,
      conditions,
      cache,
      slots,
      attempts: this.#attempts!,
      aheadMax,
      onFailure,
      ...shared,
    };
    return (phase) => new RunSteps({ ...parts, graph: graphs.phase(phase), stop: stopOf(phase) });
  }

  /** The end of the run is the last thing reported: after every commit, when the server holds all that was said. */
  async #finish(end: RunEnd): Promise<void> {
    if (this.#state !== "driving") return;
    const { commits, shipper, messages, usage } = this.#link;
    await Promise.all([commits.settled(), shipper.drained(), messages.drained(), usage.drained()]);
    const wait = { signal: this.#link.signal, log: this.#log };
    await durably(() => this.#link.outbox.report({ type: "run.finished", ...end }), wait);
    await this.#link.outbox.drained();
    this.#log.info({ state: end.state }, "the run ended");
    this.#context.held.delete(this);
  }

  /** Removes all that the run left on this worker, its journal last. */
  async #leave(): Promise<void> {
    this.#link[Symbol.dispose]();
    if (this.#attempts !== null) {
      if (!(await this.#attempts.releaseAll())) throw new Error("some attempts could not be released");
      const { session } = this.#attempts;
      await retryBackend(() => session.releaseScope(scopeOf(this.lease)));
    }
    this.#close();
    const { remover, home } = this.#context;
    const parts = listAttemptParts(home).filter(({ scope }) => scope === scopeOf(this.lease));
    const removed = [...parts.map(({ folder }) => folder), runFolder(home, this.lease)].map((folder) =>
      remover.remove(folder),
    );
    remover.flush();
    await Promise.all(removed);
  }

  #stopAll(reason: StopReason): void {
    for (const stop of Object.values(this.#stops)) stop.abort(reason);
  }

  /** What is to run after a failure, or in any case, still does, but not for ever. */
  #stopFor(facts: CancelFacts): void {
    const reason: StopReason = { kind: "cancel", reason: "user", fault: cancelFault(facts) };
    this.#stops.main.abort(reason);
    if (facts.code === "cancelled") this.#stops.on_failure.abort(reason);
    if (this.#mainEnd !== null) this.#limitLateSteps();
  }

  /** From when they could begin. */
  #limitLateSteps(): void {
    const fault = this.#cancelled === null ? null : cancelFault(this.#cancelled);
    this.#lateLimit ??= deadline(LATE_STEPS_MAX_MS, () => this.#stopAll({ kind: "cancel", reason: "user", fault }));
  }

  /** A record that only saves work after a crash: the server says the same again. */
  #note(record: JournalRecord): void {
    try {
      this.#journal.append(record);
    } catch (error) {
      this.#log.warn({ err: error }, "the journal could not be written");
    }
  }

  #close(): void {
    this.#lateLimit?.[Symbol.dispose]();
    this.#context.journals.delete(this.#journal);
    this.#journal[Symbol.dispose]();
  }
}

function limitsOf({ outputBytesMax, outputEntriesMax }: AgentContext["config"]): RuntimeContext["limits"] {
  return { outputBytesMax, outputEntriesMax };
}

/** The first step run of an environment, by the order of the file: where its build is shown. */
function firstUse(plan: Plan): (environment: string) => { stepRun: string; attempt: number } {
  return (environment) => {
    const step = plan.steps.find((one) => one.environment === environment)!;
    return { stepRun: stepRunKey(step.name, step.matrix?.[0] ?? null, step.batch === null ? null : 0), attempt: 1 };
  };
}

/** The latest phase that uses an environment, or, for null, that there is. */
function lastUse({ steps }: Plan, environment: string | null): Phase {
  const phases = new Set(
    steps.filter((step) => environment === null || step.environment === environment).map(({ phase }) => phase),
  );
  return (["finally", "on_failure"] as const).find((phase) => phases.has(phase)) ?? "main";
}

/** The environments of steps that have something left to do, but for those that only a failure would need. */
function openEnvironments(plan: Plan, graphs: RunGraphs, refusalOf: (step: StepPlan) => Fault | null): Set<string> {
  const open = plan.steps.filter(
    (step) => step.phase !== "on_failure" && graphs.stateOfStep(step.name) === "running" && refusalOf(step) === null,
  );
  return new Set(open.map(({ environment }) => environment));
}
