import type { Logger } from "pino";
import type { BackendSession, Handle } from "../backends/execution-backend.ts";
import { objectName } from "../backends/object-name.ts";
import type { AttemptFaults } from "../protocol/agent-api.ts";
import type { ConsumedInput } from "../protocol/artifacts.ts";
import type { CacheRecord } from "../protocol/cache.ts";
import type { AgentEventBody, AttemptWait } from "../protocol/events.ts";
import { isSealed, removeAttemptFolder } from "../runtime/attempt-folder.ts";
import type { AttemptResult, AttemptWork, RuntimeContext } from "../runtime/attempt-work.ts";
import { prepareAttempt } from "../runtime/prepare-attempt.ts";
import { retryBackend } from "../runtime/retry-backend.ts";
import { runAttempt } from "../runtime/run-attempt.ts";
import { readSecrets, removeSecretFolder } from "../runtime/secret-folder.ts";
import type { Permits } from "../std/permits.ts";
import { AttemptFigures } from "./attempt-figures.ts";
import { attemptLogs } from "./attempt-logs.ts";
import type { CommitNeeds } from "./commits.ts";
import { durably } from "./durably.ts";
import type { FolderRemover } from "./folder-remover.ts";
import type { KnownSecrets } from "./known-secrets.ts";
import { finalStepState, type NextAttempt, nextAttempt, type RetryRules } from "./next-attempt.ts";
import type { RunHistory } from "./run-history.ts";
import type { RunLink } from "./run-link.ts";
import type { UsageSampler } from "./usage-sampler.ts";

export interface RunAttemptsOptions {
  readonly runtime: RuntimeContext;
  readonly backend: string;
  readonly installation: string;
  readonly secrets: KnownSecrets;
  readonly link: RunLink;
  readonly sampler: UsageSampler;
  readonly history: RunHistory;
  /** Releases at once, over all runs: they must not compete with steps for the machine. */
  readonly releasePermits: Permits;
  readonly remover: FolderRemover;
  readonly log: Logger;
}

/** One attempt to run: its work, and what it reads, for lineage. */
export interface AttemptOrder {
  readonly work: AttemptWork;
  readonly consumed: readonly ConsumedInput[];
  readonly rules: RetryRules;
  /** Its key, where its result may be taken again. */
  readonly cache?: CacheRecord | undefined;
  /** Before it began; left out for one that an earlier process began. */
  readonly waited?: AttemptWait | undefined;
  /** How earlier attempts of this step run ended. */
  readonly before: AttemptFaults;
  /** Aborted with a StopReason when the attempt is to stop. */
  readonly stop: AbortSignal;
  /** The step runs whose end stopped it, if any did: theirs is reported first. */
  readonly causes?: () => readonly string[];
}

type ReportOrder = Pick<AttemptOrder, "work" | "consumed" | "causes">;

export interface AttemptEnd {
  readonly result: AttemptResult;
  readonly next: NextAttempt;
}

/** The attempts of one run: each from its intent in the journal to the removal of what it left behind. */
export class RunAttempts {
  readonly #options: RunAttemptsOptions;
  readonly #figures: AttemptFigures;
  /** Objects that were made ahead of their turn, by step run. */
  readonly #prepared = new Map<string, AttemptWork>();
  /** Those that are being made, by object name. */
  readonly #preparing = new Map<string, Promise<void>>();
  /** Attempts that may have an object or a folder on this worker, by object name. */
  readonly #present = new Map<string, AttemptWork>();
  /** Those of them that were submitted: only they have logs. */
  readonly #submitted = new Set<string>();
  /** The run is over: its remains are waited for. */
  #hurry = false;
  readonly #releases = new Map<string, Promise<void>>();
  /** Names are hashes, asked for several times per attempt. */
  readonly #handles = new WeakMap<AttemptWork, Handle>();

  constructor(options: RunAttemptsOptions) {
    this.#options = options;
    const { runtime, sampler, link } = options;
    this.#figures = new AttemptFigures({
      ...{ session: runtime.session, sampler },
      report: (report) => link.usage.offer(report),
    });
  }

  get backend(): string {
    return this.#options.backend;
  }

  get session(): BackendSession {
    return this.#options.runtime.session;
  }

  /** The attempt of a step run that was made ready and did not start. */
  prepared(stepRun: string): AttemptWork | undefined {
    return this.#prepared.get(stepRun);
  }

  /** How many there are of them. */
  get preparedCount(): number {
    return this.#prepared.size;
  }

  /** Makes the object of an attempt ahead of its turn. Its inputs are not known yet and may be left out. */
  prepare(work: AttemptWork): void {
    const { link, runtime, log } = this.#options;
    link.outbox.record({ type: "prepared", work });
    this.adoptPrepared(work);
    const { name } = this.#handleOf(work);
    const prepared = prepareAttempt(runtime, work)
      .catch((error: unknown) => log.warn({ err: error }, "an attempt could not be made ready"))
      .finally(() => this.#preparing.delete(name));
    this.#preparing.set(name, prepared);
  }

  /** What an earlier process made ready is known again. */
  adoptPrepared(work: AttemptWork): void {
    this.#prepared.set(work.ref.stepRun, work);
    this.adopt(work);
  }

  /** An attempt that may be on this worker, and will be released. */
  adopt(work: AttemptWork): void {
    this.#present.set(this.#handleOf(work).name, work);
  }

  /** The same for one that an earlier process let go. */
  adoptRunning(work: AttemptWork): void {
    this.adopt(work);
    this.#figures.begin(this.#handleOf(work), work, { isNew: false });
  }

  /** The same for one that has ended: its logs may not all be with the server, then it is released. */
  adoptEnded(work: AttemptWork, result: AttemptResult): void {
    this.adopt(work);
    this.#options.link.hold(Object.values(result.outputs));
    if (result.handle !== null && this.#recallSecrets(work)) this.#follow(result.handle);
    void this.release(work);
  }

  /** Runs an attempt; with `resumed`, one that an earlier process began. Rejects when it was left running. */
  async run(order: AttemptOrder, resumed: boolean): Promise<AttemptEnd> {
    const { work } = order;
    const { link, runtime, log, backend } = this.#options;
    const { stepRun, attempt } = work.ref;
    const handle = this.#handleOf(work);
    this.#prepared.delete(stepRun);
    this.adopt(work);
    if (!resumed) {
      await this.#removeStale(work, handle);
      const started: AgentEventBody = {
        ...({ type: "attempt.started", stepRun, attempt, backend, object: handle.name } as const),
        ...madeOf(work),
        ...(order.cache === undefined ? {} : { cache: order.cache }),
        ...(order.waited === undefined ? {} : { waited: order.waited }),
      };
      await durably(() => link.outbox.record({ type: "intent", work }, started), { signal: link.signal, log });
    }
    const onSubmitted = () => {
      if (!resumed || this.#recallSecrets(work)) this.#follow(handle);
      if (runtime.capabilities.stats) this.#figures.follow(handle);
    };
    const hooks = { onPhase: () => {}, onSubmitted };
    this.#figures.begin(handle, work, { isNew: !resumed });
    const result = this.#figures.end(handle, await runAttempt(runtime, work, hooks, order.stop));
    const next = nextAttempt(result.outcome, order.rules, order.before, Math.random);
    await this.#record(order, result, next);
    const ended = this.#makeSureItEnded(handle, result);
    await (next.again
      ? ended
      : ended.catch((err: unknown) => log.warn({ err, ref: work.ref }, "a lost attempt could not be stopped")));
    this.#figures.leave(handle);
    void this.release(work);
    return { result, next };
  }

  /** Reports an end that an earlier process journaled and did not report: its outputs are still to be uploaded. */
  reportAgain(order: ReportOrder, result: AttemptResult): void {
    const { link, log } = this.#options;
    const finished = finishedEvent(order, result, null);
    const report = () => durably(() => link.outbox.report(finished), { signal: link.signal, log });
    link.commits.reportWhenReady(needsOf(order, result), report);
  }

  /** Ships to its end what was written, then removes object and folder; in the background, and never rejects. */
  release(work: AttemptWork): Promise<void> {
    const { name } = this.#handleOf(work);
    const known = this.#releases.get(name);
    if (known !== undefined) return known;
    const release = this.#release(work)
      .catch((error: unknown) =>
        this.#options.log.warn({ err: error, ref: work.ref }, "an attempt could not be released yet"),
      )
      .finally(() => this.#releases.delete(name));
    this.#releases.set(name, release);
    return release;
  }

  /** Removes what was made ready and is not going to run. */
  releasePrepared(stepRun: string): void {
    const work = this.#prepared.get(stepRun);
    this.#prepared.delete(stepRun);
    if (work !== undefined) void this.release(work);
  }

  /** Releases everything, and says whether nothing of the run's attempts is left on this worker. */
  async releaseAll(): Promise<boolean> {
    this.#prepared.clear();
    this.#hurry = true;
    this.#options.remover.flush();
    await Promise.all([...this.#releases.values()]);
    await Promise.all([...this.#present.values()].map((work) => this.release(work)));
    return this.#present.size === 0;
  }

  async #release(work: AttemptWork): Promise<void> {
    const { link, remover, runtime } = this.#options;
    const { stepRun, attempt } = work.ref;
    const handle = this.#handleOf(work);
    if (!link.signal.aborted && this.#submitted.has(handle.name)) {
      const logs = attemptLogs(runtime.session, handle, this.#options.secrets).map((source) =>
        link.shipper.end(source),
      );
      await Promise.all([...logs, link.messages.end(handle.ref)]);
    }
    await this.#removeObject(handle);
    // Not before its logs are with the server: by the values, a process that takes over knows what to mask.
    removeSecrets(work);
    const removed = remover.remove(work.spec.folder);
    if (this.#hurry) remover.flush();
    await removed;
    this.#present.delete(handle.name);
    this.#submitted.delete(handle.name);
    link.outbox.record({ type: "released", stepRun, attempt });
  }

  /**
   * A power cut may take the newest lines of the journal, so that an attempt begins that began before. What it left is
   * of inputs that may have been made again since.
   */
  async #removeStale({ ref, spec }: AttemptWork, handle: Handle): Promise<void> {
    if (!isSealed(spec.folder)) return;
    this.#options.log.warn({ ref }, "an attempt that the journal does not know was begun before: it is made anew");
    await this.#removeObject(handle);
    await removeAttemptFolder(spec.folder);
  }

  async #removeObject(handle: Handle): Promise<void> {
    const { releasePermits, runtime } = this.#options;
    // What is still being made would be there after its removal.
    await this.#preparing.get(handle.name);
    using _permit = await releasePermits.acquire();
    await retryBackend(() => runtime.session.release(handle, { force: true }));
  }

  async #record(order: AttemptOrder, result: AttemptResult, next: NextAttempt): Promise<void> {
    const { link, log } = this.#options;
    const { stepRun, attempt } = order.work.ref;
    const pauseMs = next.again ? next.delayMs : null;
    const retryAt = pauseMs === null ? null : Date.now() + pauseMs;
    const record = { type: "result", stepRun, attempt, result, again: next.again, retryAt, pauseMs } as const;
    if (next.again) {
      // At once, and without what it left behind, which the next attempt replaces: that one's start is reported next.
      const again = { delayMs: next.delayMs, memoryBytes: next.moreMemoryBytes };
      const finished = finishedEvent(order, { ...result, outputs: {} }, again);
      return durably(() => link.outbox.record(record, finished), { signal: link.signal, log });
    }
    const needs = needsOf(order, result);
    const finished = finishedEvent(order, result, null);
    const wait = { signal: link.signal, log };
    link.hold(needs.outputs);
    if (link.commits.isReady(needs)) return durably(() => link.outbox.record(record, finished), wait);
    await durably(() => link.outbox.record(record), wait);
    link.commits.reportWhenReady(needs, () => durably(() => link.outbox.report(finished), wait));
  }

  /**
   * Where the platform lost sight of an attempt, its object may still run: nothing else is to have its room, and a second
   * one must not run beside it. Rejects when that cannot be had: then the run is not ours to go on with.
   */
  async #makeSureItEnded(handle: Handle, { outcome }: AttemptResult): Promise<void> {
    if (outcome.state !== "lost") return;
    const { session } = this.#options.runtime;
    await retryBackend(() => session.cancel(handle, { graceMs: 0, reason: "fenced" }));
  }

  /** Of an attempt that an earlier process began. What it says is not shipped where its secrets cannot be told from the rest. */
  #recallSecrets({ ref, spec }: AttemptWork): boolean {
    if (spec.secrets === undefined) return true;
    const values = readSecrets(spec.secrets);
    if (values === null) {
      const what = "the secrets of an attempt are not there any more: the rest of what it says is not shipped";
      this.#options.log.warn({ ref }, what);
      return false;
    }
    this.#options.secrets.add(values);
    return true;
  }

  #follow(handle: Handle): void {
    const { link, runtime, history, secrets } = this.#options;
    this.#submitted.add(handle.name);
    for (const source of attemptLogs(runtime.session, handle, secrets)) {
      link.shipper.follow(source, history.logOffset(source.stepRun, source.attempt, source.stream));
    }
    link.messages.follow(handle.ref, handle.folder);
  }

  /** The handle that any process computes for this work: names are deterministic. */
  #handleOf(work: AttemptWork): Handle {
    const known = this.#handles.get(work);
    if (known !== undefined) return known;
    const { backend, installation } = this.#options;
    const handle = { backend, name: objectName(installation, work.ref), ref: work.ref, folder: work.spec.folder };
    this.#handles.set(work, handle);
    return handle;
  }
}

function removeSecrets({ spec }: AttemptWork): void {
  if (spec.secrets !== undefined) removeSecretFolder(spec.secrets.folder);
}

function needsOf({ work, consumed, causes }: ReportOrder, result: AttemptResult): CommitNeeds {
  const outputs = Object.values(result.outputs);
  // What is kept of a failed attempt has a lineage, too.
  const hasLineage = result.outcome.state === "succeeded" || outputs.length > 0;
  const reads = hasLineage ? consumed.map(({ stepRun }) => stepRun) : [];
  return { stepRun: work.ref.stepRun, reads: [...reads, ...(causes?.() ?? [])], outputs };
}

/** What the attempt can be made of again later, beside what the server knows of its run. */
function madeOf({ spec, timeoutMs, imageDigest, runEnd }: AttemptWork) {
  const image = spec.image === null ? null : { id: spec.image, digest: imageDigest ?? spec.image };
  return { timeoutMs, image, memoryBytes: spec.limits.memoryBytes, runEnd };
}

/** `again` says what follows when this attempt is not the last one. */
function finishedEvent(
  { work, consumed }: Pick<AttemptOrder, "work" | "consumed">,
  { outcome, outputs, notes, phases }: AttemptResult,
  again: Extract<AgentEventBody, { type: "attempt.finished" }>["retry"] | null,
): AgentEventBody {
  const { stepRun, attempt } = work.ref;
  return {
    type: "attempt.finished",
    stepRun,
    attempt,
    state: outcome.state,
    stepState: again ? null : finalStepState(outcome),
    ...(again ? { retry: again } : {}),
    exitCode: outcome.exitCode,
    signal: outcome.signal,
    fault: outcome.fault,
    phases,
    usage: outcome.stats,
    outputs: Object.entries(outputs).map(([name, content]) => ({ name, content, ...notes?.[name] })),
    inputs: [...consumed],
    warnings: [...outcome.warnings],
  };
}
