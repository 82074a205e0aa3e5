import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { type MaskText, maskMessages } from "../protocol/mask-events.ts";
import {
  MESSAGES_PER_REQUEST,
  type MessagesRequest,
  type MetricReport,
  type ProgressReport,
} from "../protocol/messages.ts";
import { METRICS_MAX, parseStepMessage } from "../protocol/step-message.ts";
import { type MessageLine, MessageLines } from "../runtime/message-lines.ts";
import { retrying } from "./retry.ts";

/** What steps say is read and reported this often; of progress that changed more than once meanwhile, the latest. */
const INTERVAL_MS = 1_000;
/** While no attempt is followed there is nothing to do; whoever has something wakes it. */
const IDLE_MS = 60 * 60_000;
/** Attempts that end within this are reported together. */
const GATHER_MS = 50;
/** Chunks that are read of one running step per round: a flood of messages waits in its file, not in memory. */
const CHUNKS_PER_ROUND = 8;

export interface MessageShipperOptions {
  readonly epoch: number;
  readonly mask: MaskText;
  send(request: MessagesRequest, signal: AbortSignal): Promise<unknown>;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

interface AttemptName {
  readonly stepRun: string;
  readonly attempt: number;
}

/** One attempt that is followed, with what was read and not sent yet: at most one chunk of its file. */
interface Tracked extends AttemptName {
  readonly lines: MessageLines;
  progress: ProgressReport | null;
  metrics: MetricReport[];
  /** Metrics read so far: the number of the next one. */
  count: number;
  /** Whether the last round found no more lines. */
  isRead: boolean;
  /** The attempt is over: what is there now is all. */
  ended: boolean;
  readonly shipped: PromiseWithResolvers<void>;
}

/**
 * Ships the progress and the metrics of one run's steps. Nothing of it is journaled: after a restart the files are read
 * again from their beginnings, and the server knows what it has.
 */
export class MessageShipper {
  readonly #options: MessageShipperOptions;
  readonly #tracked = new Map<string, Tracked>();
  /** Somebody has something to read; where nobody waits for that, it counts for the next wait. */
  #isWoken = false;
  #waiting = new AbortController();
  /** What a step says is no reason to give up what it makes: where the server refuses it, nothing more is sent. */
  #over = false;

  constructor(options: MessageShipperOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#wake(), { once: true });
    void this.#run();
  }

  /** Begins to follow what an attempt says; `folder` is its attempt folder. */
  follow({ stepRun, attempt }: AttemptName, folder: string): void {
    const key = keyOf({ stepRun, attempt });
    if (this.#over || this.#tracked.has(key)) return;
    const shipped = Promise.withResolvers<void>();
    // Nobody may be waiting for its end yet.
    shipped.promise.catch(() => {});
    const nothing = { progress: null, metrics: [], count: 0, isRead: false, ended: false };
    this.#tracked.set(key, {
      stepRun,
      attempt,
      lines: new MessageLines(folder, this.#options.mask),
      ...nothing,
      shipped,
    });
    if (this.#tracked.size === 1) this.#wake();
  }

  /** Says that nothing more will be written, and resolves when the server holds all of it. */
  async end(name: AttemptName): Promise<void> {
    const tracked = this.#tracked.get(keyOf(name));
    if (tracked === undefined) return;
    tracked.ended = true;
    tracked.isRead = false;
    // Most steps say nothing.
    if (tracked.lines.isAbsent) this.#finish(tracked);
    else this.#wake();
    await tracked.shipped.promise;
  }

  /** Resolves when everything that was followed has ended, and the server holds it. */
  async drained(): Promise<void> {
    while (this.#tracked.size > 0) await Promise.all([...this.#tracked.values()].map(({ shipped }) => shipped.promise));
  }

  async #run(): Promise<void> {
    const { signal, log } = this.#options;
    try {
      for (;;) {
        while (this.#tracked.size === 0) await this.#wait(IDLE_MS);
        const startedAtMs = performance.now();
        for (const tracked of this.#tracked.values()) await this.#read(tracked);
        while (await this.#sendSome()) signal.throwIfAborted();
        for (const tracked of [...this.#tracked.values()]) if (isShipped(tracked)) this.#finish(tracked);
        await this.#pause(startedAtMs);
      }
    } catch (error) {
      this.#over = true;
      const isRefused = !signal.aborted;
      if (isRefused) log.error({ err: error }, "the server refused what the steps of this run say");
      for (const tracked of [...this.#tracked.values()]) {
        // Whoever is about to remove the file must not, where another process of this agent is to ship it.
        if (isRefused) this.#finish(tracked);
        else tracked.shipped.reject(new Error("what steps say is not shipped any more"));
      }
    }
  }

  /** Until the next beat, or until an attempt ends. One that has ended is read on without a pause. */
  async #pause(startedAtMs: number): Promise<void> {
    const { signal } = this.#options;
    if ([...this.#tracked.values()].some((tracked) => tracked.ended && !tracked.isRead)) return;
    await this.#wait(Math.max(GATHER_MS, startedAtMs + INTERVAL_MS - performance.now()));
    if (this.#tracked.size > 0) await sleep(GATHER_MS, undefined, { signal });
  }

  #wake(): void {
    this.#isWoken = true;
    this.#waiting.abort();
  }

  /** Until it is woken. A wait leaves nothing behind: there are as many of them as a run has seconds. */
  async #wait(mostMs: number): Promise<void> {
    this.#waiting = new AbortController();
    const options = { signal: this.#waiting.signal, ref: this.#tracked.size > 0 };
    if (!this.#isWoken) await sleep(mostMs, undefined, options).catch(() => {});
    this.#isWoken = false;
    this.#options.signal.throwIfAborted();
  }

  async #read(tracked: Tracked): Promise<void> {
    const { ended } = tracked;
    for (let chunks = 0; chunks < CHUNKS_PER_ROUND && tracked.metrics.length < MESSAGES_PER_REQUEST; chunks++) {
      if (chunks > 0) await setImmediate(); // Reading is synchronous: much of it must not keep all else waiting.
      const lines = this.#next(tracked);
      if (lines === null) {
        tracked.isRead = ended;
        return;
      }
      const at = new Date().toISOString();
      for (const line of lines) take(tracked, line, at);
    }
  }

  #next(tracked: Tracked): MessageLine[] | null {
    try {
      return tracked.lines.next({ ended: tracked.ended });
    } catch (error) {
      const { stepRun, attempt } = tracked;
      this.#options.log.warn({ err: error, stepRun, attempt }, "what a step says cannot be read");
      return null;
    }
  }

  /** Sends one request's worth of what was read; false when there was nothing. */
  async #sendSome(): Promise<boolean> {
    const { epoch, mask, signal, log, send } = this.#options;
    const progress: ProgressReport[] = [];
    const metrics: MetricReport[] = [];
    for (const tracked of this.#tracked.values()) {
      if (tracked.progress !== null && progress.length < MESSAGES_PER_REQUEST) {
        progress.push(tracked.progress);
        tracked.progress = null;
      }
      metrics.push(...tracked.metrics.splice(0, MESSAGES_PER_REQUEST - metrics.length));
    }
    if (progress.length === 0 && metrics.length === 0) return false;
    // Once more: what was written in another way, such as with escapes of its own, is told only once it is read.
    const said = maskMessages({ progress, metrics }, mask);
    await retrying({ what: "reporting what steps say", signal, log }, () => send({ epoch, ...said }, signal));
    return true;
  }

  #finish(tracked: Tracked): void {
    this.#tracked.delete(keyOf(tracked));
    tracked.shipped.resolve();
  }
}

function take(tracked: Tracked, { position, text }: MessageLine, at: string): void {
  if (text === null || text.trim() === "") return;
  const { stepRun, attempt } = tracked;
  const { message } = parseStepMessage(text);
  if (message?.type === "progress") {
    const { done = null, total = null, message: words = null } = message;
    tracked.progress = { stepRun, attempt, position, done, total, message: words, at };
  }
  if (message?.type === "metric") {
    const { name, value, step = null } = message;
    if (tracked.count < METRICS_MAX)
      tracked.metrics.push({ stepRun, attempt, n: tracked.count, name, value, step, at });
    tracked.count += 1;
  }
}

function isShipped({ ended, isRead, progress, metrics }: Tracked): boolean {
  return ended && isRead && progress === null && metrics.length === 0;
}

function keyOf({ stepRun, attempt }: AttemptName): string {
  return `${attempt} ${stepRun}`;
}
