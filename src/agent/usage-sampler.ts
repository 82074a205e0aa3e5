import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { BackendSession, Handle, Stats } from "../backends/execution-backend.ts";
import type { UsageSeries } from "../protocol/attempt-usage.ts";
import { seriesOf, thinned, type UsageSample } from "../protocol/usage-series.ts";
import { sealedForMs } from "../runtime/attempt-folder.ts";

/** A young attempt is looked at this often; most are over before the first look, and cost nothing. */
const INTERVAL_MIN_MS = 1_000;
/** An old one is looked at each sixtieth of its age, but at least this often. */
const INTERVAL_MAX_MS = 60_000;
const LOOKS_PER_AGE = 60;
/** Attempts that are due within this are looked at together. */
const GATHER_MS = 200;
/** What was seen is told after this, and then after as long again; see `reportAfterMs`. */
const FIRST_REPORT_MS = 5_000;
const REPORT_INTERVAL_MS = 15_000;
const REPORTS_PER_AGE = 20;
/** While nothing runs there is nothing to do; whoever has something wakes it. */
const IDLE_MS = 60 * 60_000;

export interface SampledAttempt {
  readonly session: BackendSession;
  readonly handle: Handle;
  /** Whether its network's figures are its own, as far as is known. */
  isAlone(): boolean;
  /** All that was seen so far, from time to time and once more at the end. */
  onSeries(series: UsageSeries): void;
}

/** What was seen of an attempt that has ended. */
export interface SeenUsage {
  /** Null for one that was over before the first look. */
  readonly last: UsageSample | null;
  readonly pidsPeak: number | null;
}

interface Followed extends SampledAttempt {
  /** On the monotonic clock: when it began, is looked at next, and is told of next. */
  readonly beganAtMs: number;
  dueAtMs: number;
  reportAtMs: number;
  samples: readonly UsageSample[];
  pidsPeak: number | null;
}

/** Looks at all attempts of an agent that run, in one loop: the younger they are, the more often. */
export class UsageSampler implements Disposable {
  readonly #log: Logger;
  readonly #followed = new Set<Followed>();
  readonly #closed = new AbortController();
  #waiting = new AbortController();
  #isWoken = false;
  /** Told once, until it works again: a platform that is away must not fill the log. */
  #failing = false;

  constructor(log: Logger) {
    this.#log = log;
    void this.#run();
  }

  /** From when an attempt was let go until its end was seen. */
  follow(attempt: SampledAttempt): { end(): SeenUsage } {
    const now = performance.now();
    const beganAtMs = now - sealedForMs(attempt.handle.folder);
    const times = { beganAtMs, dueAtMs: now + INTERVAL_MIN_MS, reportAtMs: now + FIRST_REPORT_MS };
    const followed: Followed = { ...attempt, ...times, samples: [], pidsPeak: null };
    this.#followed.add(followed);
    if (this.#followed.size === 1) this.#wake();
    return { end: () => this.#end(followed) };
  }

  [Symbol.dispose](): void {
    this.#closed.abort();
    this.#wake();
  }

  #end(followed: Followed): SeenUsage {
    const isFirst = this.#followed.delete(followed);
    if (isFirst && followed.samples.length > 0) followed.onSeries(seriesOf(followed.samples));
    return { last: followed.samples.at(-1) ?? null, pidsPeak: followed.pidsPeak };
  }

  async #run(): Promise<void> {
    while (!this.#closed.signal.aborted) {
      const next = Math.min(...[...this.#followed].map(({ dueAtMs }) => dueAtMs));
      await this.#wait(Math.min(IDLE_MS, Math.max(GATHER_MS, next - performance.now())));
      const now = performance.now();
      const due = [...this.#followed].filter(({ dueAtMs }) => dueAtMs <= now + GATHER_MS);
      const bySession = Map.groupBy(due, ({ session }) => session);
      await Promise.all([...bySession].map(([session, attempts]) => this.#look(session, attempts)));
    }
  }

  async #look(session: BackendSession, attempts: readonly Followed[]): Promise<void> {
    const figures = await this.#ask(session, attempts);
    const now = performance.now();
    for (const attempt of attempts) {
      const ageMs = now - attempt.beganAtMs;
      attempt.dueAtMs = now + Math.min(INTERVAL_MAX_MS, Math.max(INTERVAL_MIN_MS, ageMs / LOOKS_PER_AGE));
      const stats = figures.get(attempt.handle.name);
      if (stats === undefined || !this.#followed.has(attempt)) continue;
      take(attempt, sampleOf(stats, { atMs: Math.round(ageMs), isAlone: attempt.isAlone() }));
      if (now < attempt.reportAtMs) continue;
      attempt.reportAtMs = now + Math.max(REPORT_INTERVAL_MS, ageMs / REPORTS_PER_AGE);
      attempt.onSeries(seriesOf(attempt.samples));
    }
  }

  async #ask(session: BackendSession, attempts: readonly Followed[]): Promise<Map<string, Stats>> {
    try {
      const figures = await session.stats(attempts.map(({ handle }) => handle));
      this.#failing = false;
      return figures;
    } catch (error) {
      if (!this.#failing) this.#log.warn({ err: error }, "what attempts use cannot be seen");
      this.#failing = true;
      return new Map();
    }
  }

  #wake(): void {
    this.#isWoken = true;
    this.#waiting.abort();
  }

  async #wait(mostMs: number): Promise<void> {
    this.#waiting = new AbortController();
    const options = { signal: this.#waiting.signal, ref: false };
    if (!this.#isWoken) await sleep(mostMs, undefined, options).catch(() => {});
    this.#isWoken = false;
  }
}

function take(attempt: Followed, sample: UsageSample): void {
  attempt.samples = thinned([...attempt.samples, sample]);
  if (sample.pids !== undefined) attempt.pidsPeak = Math.max(attempt.pidsPeak ?? 0, sample.pids);
}

function sampleOf(stats: Stats, { atMs, isAlone }: { readonly atMs: number; readonly isAlone: boolean }): UsageSample {
  const { cpuMs, memoryBytes, readBytes, writtenBytes, pids, receivedBytes, sentBytes } = stats;
  const network = isAlone ? { receivedBytes, sentBytes } : {};
  return { atMs, cpuMs: cpuMs && Math.round(cpuMs), memoryBytes, readBytes, writtenBytes, pids, ...network };
}
