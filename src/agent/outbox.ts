import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { EVENTS_PER_REQUEST, type EventsRequest, type EventsResponse } from "../protocol/agent-api.ts";
import type { CancelFacts } from "../protocol/cancel.ts";
import { BerthError } from "../protocol/errors.ts";
import type { AgentEvent, AgentEventBody } from "../protocol/events.ts";
import { type MaskText, maskEvent } from "../protocol/mask-events.ts";
import { SCHEMA_MAX_BYTES } from "../protocol/output-notes.ts";
import type { Journal } from "./journal.ts";
import type { JournalRecord } from "./journal-record.ts";
import { retrying } from "./retry.ts";

/** Gathered before the first request after a quiet time: a step's start and its end often travel together. */
const GATHER_MS = 4;
/** Under load, requests start this far apart: 500 steps per second then cost 20 requests, not 500. */
const SPACING_MS = 50;
/** Soft limit of a request's body, with room below what servers and proxies accept by default (1 MiB). */
const BYTES_PER_REQUEST = 512 * 1024;
/** Times that blobs reported missing are uploaded again for one batch before the server is believed to be broken. */
const MISSING_BLOB_ROUNDS_MAX = 5;

/** Of what is said of one output: the longest schema, and tags as they commonly are. */
const NOTES_BYTES = SCHEMA_MAX_BYTES + 4 * 1024;

type RecordInput = JournalRecord extends infer R ? (R extends JournalRecord ? Omit<R, "events"> : never) : never;

export interface OutboxOptions {
  readonly epoch: number;
  readonly journal: Journal;
  readonly mask: MaskText;
  /** What an earlier process of this agent journaled and the server has not acknowledged. */
  readonly lastSeq: number;
  readonly pending: readonly AgentEvent[];
  send(request: EventsRequest, signal: AbortSignal): Promise<EventsResponse>;
  /** Completes an event right before it is sent: small blobs travel inside, but are not kept in memory. */
  complete(body: AgentEventBody): AgentEventBody;
  /** Uploads blobs of these events (again): the server does not hold them. */
  restore(digests: readonly string[], bodies: readonly AgentEventBody[]): Promise<void>;
  onCancel(facts: CancelFacts): void;
  /** The server refused for good; nothing more can be reported. */
  onRefused(error: BerthError): void;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** What one run has still to report, in order. Everything in it is in the journal first. */
export class Outbox {
  readonly #options: OutboxOptions;
  #queue: AgentEvent[];
  #lastSeq: number;
  #wake = Promise.withResolvers<void>();
  #empty = Promise.withResolvers<void>();
  #flushing = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#queue = [...options.pending];
    this.#lastSeq = options.lastSeq;
    options.signal.addEventListener("abort", () => this.#abort(), { once: true });
    void this.#run();
  }

  /** Events that the server has not acknowledged. */
  get backlog(): number {
    return this.#queue.length;
  }

  /** Journals a record with the events that it brings, masked, and queues these. Throws, changing nothing, as Journal does. */
  record(record: RecordInput, ...bodies: readonly AgentEventBody[]): void {
    if (bodies.length === 0) {
      this.#options.journal.append(record);
      return;
    }
    const at = new Date().toISOString();
    const { mask } = this.#options;
    const events = bodies.map((body, index) => ({ seq: this.#lastSeq + index + 1, at, body: maskEvent(body, mask) }));
    this.#options.journal.append({ ...record, events });
    this.#lastSeq += events.length;
    this.#queue.push(...events);
    this.#wake.resolve();
  }

  report(...bodies: readonly AgentEventBody[]): void {
    this.record({ type: "events" }, ...bodies);
  }

  /** Sends without gathering from here on, and resolves when everything was acknowledged. */
  async drained(): Promise<void> {
    this.#flushing = true;
    while (this.#queue.length > 0) {
      this.#options.signal.throwIfAborted();
      this.#empty = Promise.withResolvers();
      await this.#empty.promise;
    }
  }

  #abort(): void {
    this.#wake.resolve();
    this.#empty.promise.catch(() => {});
    this.#empty.reject(this.#options.signal.reason);
  }

  async #run(): Promise<void> {
    const { signal, onRefused, log } = this.#options;
    try {
      for (let sentAtMs = 0; ; ) {
        await this.#nextBatchIsDue(sentAtMs);
        sentAtMs = performance.now();
        this.#acknowledge(await this.#deliver(batchOf(this.#queue)));
      }
    } catch (error) {
      if (signal.aborted) return;
      log.error({ err: error }, "the server refused what this run reports");
      onRefused(error instanceof BerthError ? error : new BerthError("internal", String(error), { cause: error }));
    }
  }

  async #nextBatchIsDue(sentAtMs: number): Promise<void> {
    const { signal } = this.#options;
    while (this.#queue.length === 0) {
      await this.#wake.promise;
      signal.throwIfAborted();
      this.#wake = Promise.withResolvers();
    }
    const waitMs = Math.max(GATHER_MS, sentAtMs + SPACING_MS - performance.now());
    if (!this.#flushing && this.#queue.length < EVENTS_PER_REQUEST) await sleep(waitMs, undefined, { signal });
  }

  async #deliver(events: readonly AgentEvent[]): Promise<number> {
    const { epoch, signal, log, send, restore, complete, onCancel } = this.#options;
    for (let rounds = 0; ; rounds++) {
      try {
        const answer = await retrying({ what: "reporting events", signal, log }, async () => {
          const completed = events.map((event) => ({ ...event, body: complete(event.body) }));
          const acknowledged = await send({ epoch, events: completed }, signal);
          if (acknowledged.ackedSeq >= events[0]!.seq) return acknowledged;
          throw new BerthError(
            "unavailable",
            `the server acknowledged ${acknowledged.ackedSeq}, not ${events[0]!.seq}`,
          );
        });
        if (answer.cancel !== null) onCancel(answer.cancel);
        return answer.ackedSeq;
      } catch (error) {
        const details = error instanceof BerthError ? error.details : undefined;
        const missing = details?.missing;
        if (isCode(error, "missing_blobs") && Array.isArray(missing) && rounds < MISSING_BLOB_ROUNDS_MAX) {
          await restore(
            missing as string[],
            events.map(({ body }) => body),
          );
          continue;
        }
        // The server is ahead of us: it had stored an earlier try of ours whose answer was lost.
        const expected = details?.expected;
        if (isCode(error, "sequence_gap") && typeof expected === "number" && expected > events[0]!.seq)
          return expected - 1;
        throw error;
      }
    }
  }

  #acknowledge(ackedSeq: number): void {
    const first = this.#queue[0]?.seq;
    if (first === undefined) return;
    this.#queue.splice(0, Math.min(this.#queue.length, ackedSeq - first + 1));
    if (this.#queue.length === 0) this.#empty.resolve();
  }
}

function isCode(error: unknown, code: BerthError["code"]): boolean {
  return error instanceof BerthError && error.code === code;
}

/** The longest prefix that fits one request. */
function batchOf(queue: readonly AgentEvent[]): AgentEvent[] {
  let bytes = 0;
  let count = 0;
  for (const event of queue.slice(0, EVENTS_PER_REQUEST)) {
    bytes += approximateBytes(event.body);
    if (count > 0 && bytes > BYTES_PER_REQUEST) break;
    count += 1;
  }
  return queue.slice(0, count);
}

/** Cheap and generous: the parts of an event that can be large. */
function approximateBytes(body: AgentEventBody): number {
  if (body.type !== "attempt.finished") return 1024;
  const outputs = body.outputs.reduce(
    (sum, { content, tags, schema }) =>
      sum + 512 + Math.min(content.size, 24 * 1024) + (tags === undefined && schema === undefined ? 0 : NOTES_BYTES),
    0,
  );
  return 2048 + outputs + body.inputs.length * 256 + body.warnings.length * 256;
}
