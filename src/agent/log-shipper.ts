import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { LOG_BYTES_PER_REQUEST, type LogStream } from "../protocol/agent-api.ts";
import { BerthError } from "../protocol/errors.ts";
import type { AckedLog } from "./journal-record.ts";
import { encodeLogBatch, type LogChunk } from "./log-batch.ts";
import { retrying } from "./retry.ts";

/** How often live streams are read; with the request itself, what is written is with the server within a second. */
const INTERVAL_MS = 200;
/** Chunks per request; the protocol allows 5,000. */
const CHUNKS_PER_REQUEST = 2_000;
/** Share of one stream in a request while others wait: a chatty step must not hold back the rest. */
const FAIR_BYTES = 512 * 1024;
/** Acked offsets are journaled at most this often: a repeat after a crash costs bandwidth, the server drops it. */
const JOURNAL_INTERVAL_MS = 2_000;
/** Tries to read a stream of an ended attempt before the rest of it is given up, one INTERVAL_MS apart. */
const READ_FAILURES_MAX = 150;

/** Where the bytes of one stream come from: pulled, never pushed, so that what is not yet sent stays on disk. */
export interface LogSource {
  readonly stepRun: string;
  readonly attempt: number;
  readonly stream: LogStream;
  /**
   * What is there from `offset` on; less than everything is fine, nothing means nothing yet. With `hasEnded` nothing more
   * will be written, and nothing means that this was all.
   */
  read(offset: number, maxBytes: number, hasEnded: boolean): Promise<Buffer>;
}

export interface LogShipperOptions {
  readonly epoch: number;
  send(body: Buffer, signal: AbortSignal): Promise<void>;
  journalAcked(acked: readonly AckedLog[]): void;
  onRefused(error: BerthError): void;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

interface Tracked {
  readonly source: LogSource;
  offset: number;
  journaledOffset: number;
  /** The attempt is over: what is there now is all. */
  ended: boolean;
  readFailures: number;
  readonly shipped: PromiseWithResolvers<void>;
}

/** Ships the logs of one run: one loop over all live streams, many of them in one request, acknowledged in order. */
export class LogShipper {
  readonly #options: LogShipperOptions;
  readonly #tracked = new Map<string, Tracked>();
  #wake = Promise.withResolvers<void>();
  #flushing = false;
  #journaledAtMs = performance.now();

  constructor(options: LogShipperOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#wake.resolve(), { once: true });
    void this.#run();
  }

  /** Begins to follow a stream; `offset` is what the server holds of it. */
  follow(source: LogSource, offset: number): void {
    const key = keyOf(source);
    if (this.#tracked.has(key)) return;
    const shipped = Promise.withResolvers<void>();
    // Nobody may be waiting for its end yet.
    shipped.promise.catch(() => {});
    this.#tracked.set(key, { source, offset, journaledOffset: offset, ended: false, readFailures: 0, shipped });
    this.#wake.resolve();
  }

  /** Says that nothing more will be written, and resolves when the server holds all of it. */
  async end(source: Pick<LogSource, "stepRun" | "attempt" | "stream">): Promise<void> {
    const tracked = this.#tracked.get(keyOf(source));
    if (tracked === undefined) return;
    tracked.ended = true;
    this.#wake.resolve();
    await tracked.shipped.promise;
  }

  /** Ships without waiting between requests from here on, and resolves when the server holds all there is. */
  async drained(): Promise<void> {
    this.#flushing = true;
    this.#wake.resolve();
    while (this.#tracked.size > 0) await Promise.all([...this.#tracked.values()].map(({ shipped }) => shipped.promise));
  }

  async #run(): Promise<void> {
    const { signal, onRefused, log } = this.#options;
    try {
      for (;;) {
        while (this.#tracked.size === 0) await this.#woken();
        const startedAtMs = performance.now();
        const chunks = await this.#collect();
        if (chunks.length > 0) await this.#ship(chunks);
        this.#journalAcked(false);
        const full = chunks.reduce((sum, { length }) => sum + length, 0) >= LOG_BYTES_PER_REQUEST / 2;
        if (!full) await this.#pause(startedAtMs);
      }
    } catch (error) {
      if (signal.aborted) return;
      log.error({ err: error }, "the server refused this run's logs");
      onRefused(error instanceof BerthError ? error : new BerthError("internal", String(error), { cause: error }));
    } finally {
      this.#journalAcked(true);
      for (const { shipped } of this.#tracked.values()) shipped.reject(new Error("the logs are not shipped any more"));
    }
  }

  /** Between two rounds: a fixed beat while streams are live, or until something happens when all were drained. */
  async #pause(startedAtMs: number): Promise<void> {
    const { signal } = this.#options;
    const allEnded = [...this.#tracked.values()].every((tracked) => tracked.ended);
    if (this.#flushing && allEnded) return;
    const restMs = Math.max(1, startedAtMs + INTERVAL_MS - performance.now());
    if (this.#flushing) await this.#wokenOrRested(restMs);
    else await sleep(restMs, undefined, { signal });
  }

  async #wokenOrRested(restMs: number): Promise<void> {
    const { signal } = this.#options;
    const rest = new AbortController();
    const timer = sleep(restMs, undefined, { signal: AbortSignal.any([signal, rest.signal]) }).catch(() => {});
    await Promise.race([timer, this.#woken()]);
    rest.abort();
    signal.throwIfAborted();
  }

  async #woken(): Promise<void> {
    await this.#wake.promise;
    this.#options.signal.throwIfAborted();
    this.#wake = Promise.withResolvers();
  }

  /** Reads what is new, in turn, up to one request's worth. */
  async #collect(): Promise<LogChunk[]> {
    const chunks: LogChunk[] = [];
    let room = LOG_BYTES_PER_REQUEST;
    for (const [key, tracked] of [...this.#tracked]) {
      if (room === 0 || chunks.length === CHUNKS_PER_REQUEST) break;
      const ended = tracked.ended;
      const limit = this.#tracked.size === 1 ? room : Math.min(room, FAIR_BYTES);
      const bytes = await this.#read(tracked, limit, ended);
      if (bytes !== null && bytes.length > 0) {
        const { stepRun, attempt, stream } = tracked.source;
        chunks.push({ stepRun, attempt, stream, offset: tracked.offset, length: bytes.length, bytes });
        room -= bytes.length;
        // To the back of the order of reading, so that the next request begins with the others.
        this.#tracked.delete(key);
        this.#tracked.set(key, tracked);
      } else if (ended && bytes !== null) {
        this.#finish(key, tracked);
      }
    }
    return chunks;
  }

  /** Null when the stream cannot be read now. */
  async #read(tracked: Tracked, maxBytes: number, hasEnded: boolean): Promise<Buffer | null> {
    try {
      const bytes = await tracked.source.read(tracked.offset, maxBytes, hasEnded);
      tracked.readFailures = 0;
      return bytes;
    } catch (error) {
      if (!tracked.ended) return null;
      tracked.readFailures += 1;
      if (tracked.readFailures < READ_FAILURES_MAX) return null;
      const { stepRun, attempt, stream } = tracked.source;
      this.#options.log.error(
        { err: error, stepRun, attempt, stream, offset: tracked.offset },
        "the rest of a log is lost",
      );
      return Buffer.alloc(0);
    }
  }

  async #ship(chunks: readonly LogChunk[]): Promise<void> {
    const { epoch, signal, log, send } = this.#options;
    const body = await encodeLogBatch(epoch, chunks);
    try {
      await retrying({ what: "shipping logs", signal, log }, () => send(body, signal));
    } catch (error) {
      if (!this.#resumeWhereExpected(error)) throw error;
      return;
    }
    for (const chunk of chunks) {
      const tracked = this.#tracked.get(keyOf(chunk));
      if (tracked !== undefined) tracked.offset = chunk.offset + chunk.length;
    }
  }

  /** The server holds less of a stream than we were told: everything is readable until release, so go back. */
  #resumeWhereExpected(error: unknown): boolean {
    if (!(error instanceof BerthError) || error.code !== "sequence_gap") return false;
    const { stepRun, attempt, stream, expected } = (error.details ?? {}) as Partial<AckedLog & { expected: number }>;
    if (stepRun === undefined || attempt === undefined || stream === undefined || expected === undefined) return false;
    const tracked = this.#tracked.get(keyOf({ stepRun, attempt, stream }));
    if (tracked === undefined || tracked.offset <= expected) return false;
    this.#options.log.warn({ stepRun, attempt, stream, expected }, "the server asks for a log from an earlier place");
    tracked.offset = expected;
    return true;
  }

  #finish(key: string, tracked: Tracked): void {
    this.#tracked.delete(key);
    tracked.shipped.resolve();
  }

  #journalAcked(now: boolean): void {
    if (!now && performance.now() < this.#journaledAtMs + JOURNAL_INTERVAL_MS) return;
    this.#journaledAtMs = performance.now();
    const changed = [...this.#tracked.values()].filter((tracked) => tracked.offset !== tracked.journaledOffset);
    if (changed.length === 0) return;
    for (const tracked of changed) tracked.journaledOffset = tracked.offset;
    this.#options.journalAcked(
      changed.map(({ source: { stepRun, attempt, stream }, offset }) => ({ stepRun, attempt, stream, offset })),
    );
  }
}

function keyOf(source: Pick<LogSource, "stepRun" | "attempt" | "stream">): string {
  return `${source.stepRun}\n${source.attempt}\n${source.stream}`;
}
