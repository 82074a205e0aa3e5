import { LEASE_DURATION_MS, type LeaseRef, type PollRequest } from "../../src/protocol/agent-api.ts";
import type { CacheLookup } from "../../src/protocol/cache.ts";
import { type CancelFacts, cancelFault, endOfCancelled, timeUp } from "../../src/protocol/cancel.ts";
import { BerthError } from "../../src/protocol/errors.ts";
import { fault } from "../../src/protocol/faults.ts";
import { newId } from "../../src/protocol/ids.ts";
import type { MetricReport } from "../../src/protocol/messages.ts";
import type { Poller } from "../../src/server/scheduling/claim.ts";
import { AGENT_FIRST_MS, STOP_MAX_MS } from "../../src/server/scheduling/deadlines.ts";
import { OUTAGE_MS } from "../../src/server/scheduling/reap.ts";
import { ENDED_GRACE_MS, leasesWithout } from "../../src/server/store/leases.ts";
import { recordInMemory } from "./memory-events.ts";
import { appendInMemory } from "./memory-logs.ts";
import { MemoryRun } from "./memory-run.ts";
import { planOf } from "./pipelines.ts";
import { metricKey, type RunView, type ServerApi } from "./server-api.ts";

/** See UNHEARD_AFTER_MS of server/store/leases.ts. */
const UNHEARD_AFTER_MS = 10_000;

interface MemoryWorker {
  readonly id: string;
  slots: number;
  boot: string | null;
  lastSeenAtMs: number;
  draining: boolean;
}

export interface MemoryServerOptions {
  now(): number;
  readonly recoveryAfterMs: number;
}

/**
 * A model of what the server's SQL does, decision by decision, each as if in one transaction. What the server decides
 * without SQL is the real code. differential.test.ts holds it against the real thing.
 */
export class MemoryServer implements ServerApi {
  readonly runs = new Map<string, MemoryRun>();
  readonly blobs = new Map<string, Buffer>();
  readonly #workers = new Map<string, MemoryWorker>();
  readonly #options: MemoryServerOptions;
  #passedAtMs: number;

  constructor(options: MemoryServerOptions) {
    this.#options = options;
    this.#passedAtMs = options.now();
  }

  readonly agent: ServerApi["agent"] = {
    boot: async ({ worker: id }, { bootId, held, capabilities }) => {
      const worker = this.#workers.get(id)!;
      Object.assign(worker, { boot: bootId, slots: capabilities.slots, lastSeenAtMs: this.#now });
      for (const lease of leasesWithout(this.#activeOf(id), held))
        this.#release(lease, "its agent was started again without it");
      this.#extend(id, held);
      const kept = this.#granted(id, held);
      return {
        worker: { id, name: id, pool: "default", labels: [] },
        installation: "simulation",
        kept: kept.map((run) => ({ ...refOf(run), ackedSeq: run.agentSeq, cancel: run.cancelFacts })),
        lost: leasesWithout(held, kept.map(refOf)),
        serverTime: new Date().toISOString(),
      };
    },

    heartbeat: async (from, { held, capabilities }) => {
      const worker = this.#speaker(from);
      worker.lastSeenAtMs = this.#now;
      worker.slots = capabilities?.slots ?? worker.slots;
      const extended = this.#extend(worker.id, held);
      const granted = this.#granted(worker.id, held);
      return {
        extended: extended.map(refOf),
        lost: leasesWithout(held, granted.map(refOf)),
        cancel: cancelsOf(granted),
        draining: worker.draining,
      };
    },

    poll: async (from, request) => {
      const worker = this.#speaker(from);
      this.#releaseUnheard(worker.id, request.held);
      const claimed = this.#claim(worker, request);
      const granted = this.#granted(worker.id, request.held);
      return {
        assignments: claimed.map((run) => this.#assignment(run)),
        cancel: cancelsOf(granted).filter(({ run }) => !request.knownCancels.includes(run)),
        lost: leasesWithout(request.held, granted.map(refOf)),
      };
    },

    events: async (from, id, { epoch, events }) => {
      const run = this.#leased(from, id, epoch, (found) => found.state !== "queued");
      const { changed, answer } = recordInMemory(run, events, {
        worker: from.worker,
        nowMs: this.#now,
        blobs: this.blobs,
        outputsOf: this.#outputsOf,
      });
      this.runs.set(id, changed);
      return answer;
    },

    logs: async (from, id, body) =>
      appendInMemory(body, (epoch) => ({ epoch, run: this.#leased(from, id, epoch, this.#mayStillWrite) })),

    messages: async (from, id, { epoch, metrics }) => {
      const run = this.#leased(from, id, epoch, this.#mayStillWrite);
      return { accepted: metrics.filter((metric) => isFresh(run, epoch, metric)).length };
    },

    missingBlobs: async (from, id, epoch, digests) => {
      this.#leased(from, id, epoch, this.#mayStillWrite);
      return digests.filter((digest) => !this.blobs.has(digest));
    },

    findCached: async (from, id, epoch, lookups) => {
      const run = this.#leased(from, id, epoch, this.#mayStillWrite);
      return lookups.map((lookup) => this.#findCached(run, lookup));
    },

    putBlob: async (from, id, epoch, digest, bytes) => {
      this.#leased(from, id, epoch, this.#mayStillWrite);
      this.blobs.set(digest, bytes);
    },

    getBlob: async (from, id, epoch, digest) => {
      this.#leased(from, id, epoch, this.#mayStillWrite);
      const bytes = this.blobs.get(digest);
      if (bytes === undefined) throw new BerthError("not_found", `There is no blob ${digest}.`);
      return bytes;
    },
  };

  async addWorker({ id, slots }: { readonly id: string; readonly slots: number }): Promise<void> {
    this.#workers.set(id, { id, slots, boot: null, lastSeenAtMs: 0, draining: false });
  }

  async drain(worker: string, draining: boolean): Promise<void> {
    this.#workers.get(worker)!.draining = draining;
  }

  async submit(text: string): Promise<string> {
    const plan = planOf(text);
    const number = [...this.runs.values()].filter(({ pipeline }) => pipeline === plan.name).length + 1;
    const run = new MemoryRun({ id: newId("run"), number, pipeline: plan.name, plan, createdAtMs: this.#now });
    run.append({ type: "run.created", by: "simulation" });
    this.runs.set(run.id, run);
    return run.id;
  }

  async cancel(id: string, facts: CancelFacts): Promise<void> {
    const run = this.runs.get(id)!;
    if (run.isEnded || run.state === "cancelling") return;
    const end = endOfCancelled(facts);
    run.append({ type: "run.cancel_requested", by: facts.by, reason: facts.reason });
    run.cancel = { ...facts, atMs: this.#now };
    if (run.state === "queued") this.#end(run, end);
    else run.state = "cancelling";
  }

  async pass(): Promise<void> {
    this.#reap();
    for (const run of this.runs.values()) {
      const { timeoutMs, queueTimeoutMs } = run.plan;
      if (run.state === "queued" && run.startedAtMs === null && isPast(run.createdAtMs, queueTimeoutMs, this.#now)) {
        run.fault = fault("deadline-queue", "No worker took the run in time.");
        this.#end(run, "failed");
      }
      const slack = run.state === "running" ? AGENT_FIRST_MS : 0;
      if (run.state === "queued" || run.state === "running") {
        const limit = timeoutMs === null || run.startedAtMs === null ? null : timeoutMs + slack;
        if (isPast(run.startedAtMs ?? 0, limit, this.#now)) await this.cancel(run.id, timeUp("the server", timeoutMs!));
      }
      const isAlive = run.leaseExpiresAtMs !== null && run.leaseExpiresAtMs > this.#now;
      if (run.state === "cancelling" && isAlive && isPast(run.cancel!.atMs, STOP_MAX_MS, this.#now))
        this.#release(refOf(run), "its worker did not stop it in time");
    }
  }

  async lease(id: string) {
    const { state, epoch, worker } = this.runs.get(id)!;
    return { state, epoch, worker };
  }

  async view(id: string): Promise<RunView> {
    const run = this.runs.get(id)!;
    const { state, epoch, fault: why, events, attempts } = run;
    return {
      ...{ id, state, epoch, fault: why, events, attempts },
      stepRuns: [...run.stepRuns.values()].map(({ key, state: stepState, parent }) => ({
        ...{ key, state: stepState, parent },
        takenFrom: run.takenFrom.get(key) ?? null,
      })),
      versions: run.versions.map((version) => ({ ...version, bytes: this.blobs.get(version.content.digest)! })),
      logs: new Map([...run.logs].map(([key, bytes]) => [key, bytes.toString()])),
      metrics: new Map(
        [...run.metrics].map(([key, points]) => [key, [...points].sort(byNumber).map(([, value]) => value)]),
      ),
    };
  }

  get #now(): number {
    return this.#options.now();
  }

  /** The worker, while this process of its agent speaks for it. */
  #speaker({ worker, boot }: Poller): MemoryWorker {
    const found = this.#workers.get(worker)!;
    if (found.boot !== boot)
      throw new BerthError("stale_boot", "A newer process of this worker's agent has taken over.");
    return found;
  }

  #leased(from: Poller, id: string, epoch: number, mayWrite: (run: MemoryRun) => boolean): MemoryRun {
    this.#speaker(from);
    const run = this.runs.get(id);
    if (run?.isHeldBy(from.worker, { run: id, epoch }) && mayWrite(run)) return run;
    if (!run?.leases.some(({ worker }) => worker === from.worker))
      throw new BerthError("not_found", `There is no run ${id} leased to this worker.`);
    throw new BerthError("stale_epoch", `Epoch ${epoch} of ${id} is over: nothing was written.`);
  }

  readonly #mayStillWrite = (run: MemoryRun): boolean =>
    run.isActive || (run.finishedAtMs !== null && run.finishedAtMs > this.#now - ENDED_GRACE_MS);

  readonly #outputsOf = (run: string, stepRun: string) => this.runs.get(run)!.outputsOf(stepRun);

  #activeOf(worker: string): LeaseRef[] {
    return [...this.runs.values()].filter((run) => run.worker === worker && run.isActive).map(refOf);
  }

  #granted(worker: string, held: readonly LeaseRef[]): MemoryRun[] {
    return held.map((lease) => this.runs.get(lease.run)!).filter((run, index) => run?.isHeldBy(worker, held[index]!));
  }

  #extend(worker: string, held: readonly LeaseRef[]): MemoryRun[] {
    const extended = this.#granted(worker, held).filter((run) => run.isActive);
    for (const run of extended) run.leaseExpiresAtMs = this.#now + LEASE_DURATION_MS;
    return extended;
  }

  #claim(worker: MemoryWorker, { freeSlots }: PollRequest): MemoryRun[] {
    if (worker.draining) return [];
    const limit = Math.max(0, Math.min(freeSlots, worker.slots - this.#activeOf(worker.id).length));
    const waiting = [...this.runs.values()].filter(({ state }) => state === "queued");
    const claimed = waiting.sort(byAge).slice(0, limit);
    for (const run of claimed) {
      run.state = "running";
      run.epoch += 1;
      run.worker = worker.id;
      run.agentSeq = 0;
      run.startedAtMs ??= this.#now;
      run.leaseExpiresAtMs = this.#now + LEASE_DURATION_MS;
      run.leases = [...run.leases, { epoch: run.epoch, worker: worker.id, grantedAtMs: this.#now }];
      run.append({ type: "run.leased", worker: worker.id, workerName: worker.id, epoch: run.epoch });
    }
    return claimed;
  }

  #assignment(run: MemoryRun) {
    const { plan, startedAtMs } = run;
    const leftMs = plan.timeoutMs === null ? null : Math.max(0, plan.timeoutMs - (this.#now - startedAtMs!));
    return {
      ...{ ...refOf(run), number: run.number, project: "simulation", plan, params: {}, backend: null, source: null },
      prior: run.epoch === 1 ? [] : run.prior(this.#outputsOf),
      ...{ noCache: false, timeLeftMs: leftMs, cancel: run.cancelFacts },
    };
  }

  #releaseUnheard(worker: string, held: readonly LeaseRef[]): void {
    for (const lease of this.#activeOf(worker)) {
      const run = this.runs.get(lease.run)!;
      const isOld = run.leases.at(-1)!.grantedAtMs < this.#now - UNHEARD_AFTER_MS;
      if (run.agentSeq === 0 && isOld && !held.some((one) => one.run === lease.run))
        this.#release(lease, "its worker never heard of it");
    }
  }

  #release(lease: LeaseRef, reason: string): void {
    const run = this.runs.get(lease.run)!;
    if (run.epoch !== lease.epoch || !run.isActive) return;
    const { cancelFacts } = run;
    Object.assign(run, { worker: null, leaseExpiresAtMs: null });
    run.append({ type: "run.released", epoch: lease.epoch, reason });
    if (cancelFacts !== null) {
      run.fault = cancelFault(cancelFacts);
      this.#end(run, endOfCancelled(cancelFacts));
      return;
    }
    run.state = "queued";
    run.loseRunningAttempts(fault("node-lost", `The worker was given up: ${reason}.`));
    run.resetRunning();
  }

  #end(run: MemoryRun, state: "cancelled" | "failed"): void {
    run.state = state;
    run.finishedAtMs = this.#now;
    run.fault ??= run.cancel === null ? null : cancelFault(run.cancel);
    run.close(state);
    run.append({ type: "run.finished", state, fault: run.fault });
  }

  #reap(): void {
    const wasAway = this.#passedAtMs < this.#now - OUTAGE_MS;
    this.#passedAtMs = this.#now;
    for (const run of this.runs.values()) {
      if (!run.isActive) continue;
      if (wasAway) {
        run.leaseExpiresAtMs = this.#now + LEASE_DURATION_MS;
        continue;
      }
      const expiredAtMs = run.leaseExpiresAtMs!;
      if (expiredAtMs >= this.#now) continue;
      const isGone = expiredAtMs < this.#now - this.#options.recoveryAfterMs;
      const wasSeenSince = this.#workers.get(run.worker!)!.lastSeenAtMs > expiredAtMs;
      if (run.state === "cancelling" || isGone || wasSeenSince)
        this.#release(refOf(run), "its worker was not heard of");
    }
  }

  #findCached(run: MemoryRun, { stepRun, key, ttlMs }: CacheLookup) {
    const made = [...this.runs.values()].filter((other) => {
      const row = other.stepRuns.get(stepRun);
      if (other.pipeline !== run.pipeline || other.takenFrom.has(stepRun)) return false;
      const isYoung = ttlMs === null || Date.parse(row?.finishedAt ?? "") > Date.now() - ttlMs;
      return row?.state === "succeeded" && row.cache?.key === key && isYoung;
    });
    const finishedAt = (one: MemoryRun) => one.stepRuns.get(stepRun)!.finishedAt!;
    const [newest] = made.sort((left, right) => (finishedAt(left) < finishedAt(right) ? 1 : -1));
    if (newest === undefined) return null;
    return { run: newest.id, number: newest.number, outputs: newest.outputsOf(stepRun) };
  }
}

/** Takes a metric in; false for one that is known. */
function isFresh({ metrics }: MemoryRun, epoch: number, { stepRun, attempt, n, value }: MetricReport): boolean {
  const key = metricKey(epoch, stepRun, attempt);
  const points = metrics.get(key) ?? new Map<number, number>();
  metrics.set(key, points);
  if (points.has(n)) return false;
  points.set(n, value);
  return true;
}

function byNumber([left]: readonly [number, number], [right]: readonly [number, number]): number {
  return left - right;
}

function refOf({
  id,
  run = id,
  epoch,
}: {
  readonly id?: string;
  readonly run?: string;
  readonly epoch: number;
}): LeaseRef {
  return { run: run!, epoch };
}

function cancelsOf(held: readonly MemoryRun[]) {
  return held.flatMap((run) => (run.cancelFacts === null ? [] : [{ ...refOf(run), ...run.cancelFacts }]));
}

function isPast(sinceMs: number, limitMs: number | null, nowMs: number): boolean {
  return limitMs !== null && sinceMs < nowMs - limitMs;
}

function byAge(left: MemoryRun, right: MemoryRun): number {
  return left.createdAtMs - right.createdAtMs || (left.id < right.id ? -1 : 1);
}
