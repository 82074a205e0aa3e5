import { createHash } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import { type Assignment, LogBatch } from "../../protocol/agent-api.ts";
import { INLINE_BLOB_MAX_BYTES } from "../../protocol/artifacts.ts";
import type { UsageReport } from "../../protocol/attempt-usage.ts";
import type { CancelFacts } from "../../protocol/cancel.ts";
import { BerthError } from "../../protocol/errors.ts";
import type { AgentEvent, AgentEventBody } from "../../protocol/events.ts";
import type { MessagesRequest, MetricReport, ProgressReport } from "../../protocol/messages.ts";

type Finished = Extract<AgentEventBody, { type: "attempt.finished" }>;

/** One run on the fake server: its lease, what was reported of it, and the rules that reports must keep. */
export class FakeRun {
  readonly id: string;
  readonly events: AgentEventBody[] = [];
  epoch = 0;
  holder: string | null = null;
  cancelRequested: CancelFacts | null = null;
  /** Counts log bytes without keeping them. */
  discardLogs = false;
  /** The final state, once reported. */
  ended: string | null = null;
  readonly finished = Promise.withResolvers<string>();
  /** Every report, in order of arrival. */
  readonly progress: ProgressReport[] = [];
  /** In the order of arrival. */
  readonly usage: UsageReport[] = [];
  /** By `stepRun/attempt`, in order. */
  readonly metrics = new Map<string, MetricReport[]>();
  readonly #logs = new Map<string, Buffer[]>();
  readonly #logSizes = new Map<string, number>();
  readonly #assignment: Assignment;
  readonly #blobs: Map<string, Buffer>;
  readonly #violation: (message: string) => void;
  readonly #running = new Set<string>();
  readonly #outputs = new Map<string, ReadonlyMap<string, string>>();
  readonly #terminal = new Set<string>();

  constructor(assignment: Assignment, blobs: Map<string, Buffer>, violation: (message: string) => void) {
    this.id = assignment.run;
    this.#assignment = assignment;
    this.#blobs = blobs;
    this.#violation = violation;
    for (const prior of assignment.prior) {
      this.#outputs.set(
        prior.stepRun,
        new Map(Object.entries(prior.outputs).map(([name, { digest }]) => [name, digest])),
      );
    }
  }

  grant(worker: string): void {
    this.holder = worker;
    this.epoch += 1;
    this.events.length = 0;
  }

  /** Back to the queue, with what was committed as prior. */
  release(): void {
    this.holder = null;
    this.#running.clear();
  }

  assignment(): Assignment {
    return { ...this.#assignment, epoch: this.epoch, cancel: this.cancelRequested };
  }

  /** Ends of attempts, by step run. */
  ends(stepRun?: string): Finished[] {
    return this.events.filter(
      (event): event is Finished => event.type === "attempt.finished" && (stepRun ?? event.stepRun) === event.stepRun,
    );
  }

  log(stepRun: string, stream = "stdout", attempt = 1): string {
    return Buffer.concat(this.#logs.get(`${stepRun}/${attempt}/${stream}`) ?? []).toString();
  }

  logSize(stepRun: string): number {
    return this.#logSizes.get(`${stepRun}/1/stdout`) ?? 0;
  }

  take(events: readonly AgentEvent[]): number {
    for (const { seq, body } of events) {
      if (seq <= this.events.length) continue;
      if (seq !== this.events.length + 1) {
        throw new BerthError("sequence_gap", `event ${seq} after ${this.events.length}`, {
          details: { expected: this.events.length + 1 },
        });
      }
      this.#apply(body);
      this.events.push(body);
    }
    return this.events.length;
  }

  takeLogs(body: Buffer, checkLease: (epoch: number) => void): { accepted: number } {
    const raw = zstdDecompressSync(body);
    const newline = raw.indexOf(0x0a);
    const batch = LogBatch.parse(JSON.parse(raw.subarray(0, newline).toString()));
    checkLease(batch.epoch);
    let position = newline + 1;
    for (const { stepRun, attempt, stream, offset, length } of batch.chunks) {
      const bytes = raw.subarray(position, position + length);
      position += length;
      const key = `${stepRun}/${attempt}/${stream}`;
      const stored = this.#logSizes.get(key) ?? 0;
      if (offset > stored) {
        throw new BerthError("sequence_gap", `log of ${key}`, {
          details: { stepRun, attempt, stream, expected: stored },
        });
      }
      const fresh = bytes.subarray(stored - offset);
      if (!this.discardLogs) this.#logs.set(key, [...(this.#logs.get(key) ?? []), Buffer.from(fresh)]);
      this.#logSizes.set(key, stored + fresh.length);
    }
    if (position !== raw.length) this.#violation("a log batch holds other bytes than it announces");
    return { accepted: batch.chunks.length };
  }

  /** Returns how many metrics are new. */
  takeMessages({ progress, metrics, usage = [] }: Omit<MessagesRequest, "epoch">): number {
    if (this.ended !== null) this.#violation("messages after the run ended");
    this.progress.push(...progress);
    this.usage.push(...usage);
    let accepted = 0;
    for (const metric of metrics) {
      const key = `${metric.stepRun}/${metric.attempt}`;
      const known = this.metrics.get(key) ?? [];
      this.metrics.set(key, known);
      if (metric.n > known.length) this.#violation(`metric ${metric.n} of ${key} after ${known.length}`);
      if (metric.n !== known.length) continue;
      known.push(metric);
      accepted += 1;
    }
    return accepted;
  }

  /** Loses the end of a stream, as a server restored from a backup would. */
  truncateLog(stepRun: string, size: number): void {
    const key = `${stepRun}/1/stdout`;
    this.#logs.set(key, [Buffer.concat(this.#logs.get(key) ?? []).subarray(0, size)]);
    this.#logSizes.set(key, size);
  }

  #apply(body: AgentEventBody): void {
    if (this.ended !== null) this.#violation(`${body.type} after the run ended`);
    if (body.type === "attempt.started") this.#start(`${body.stepRun}#${body.attempt}`, body.stepRun);
    if (body.type === "attempt.finished") this.#finish(body);
    if (body.type === "step.finished") this.#end(body.stepRun);
    if (body.type === "step.cached") {
      this.#end(body.stepRun);
      this.#outputs.set(body.stepRun, new Map(body.outputs.map(({ name, content }) => [name, content.digest])));
    }
    if (body.type === "run.finished") {
      if (this.#running.size > 0) this.#violation(`run ended while ${[...this.#running].join(", ")} run`);
      this.ended = body.state;
      this.finished.resolve(body.state);
    }
  }

  #start(attempt: string, stepRun: string): void {
    if (this.#running.has(attempt)) this.#violation(`${attempt} started twice`);
    if (this.#terminal.has(stepRun)) this.#violation(`${attempt} started after its step run ended`);
    this.#running.add(attempt);
  }

  #finish(body: Finished): void {
    for (const { content, inline } of body.outputs) this.#takeBlob(content.digest, inline);
    if (!this.#running.delete(`${body.stepRun}#${body.attempt}`))
      this.#violation(`${body.stepRun} ended without a start`);
    if (body.stepState !== null) this.#end(body.stepRun);
    if (body.state !== "succeeded") return;
    for (const input of body.inputs) {
      if (this.#outputs.get(input.stepRun)?.get(input.artifact) !== input.digest) {
        this.#violation(`${body.stepRun} reports ${input.stepRun}.${input.artifact} before it was committed`);
      }
    }
    this.#outputs.set(body.stepRun, new Map(body.outputs.map(({ name, content }) => [name, content.digest])));
  }

  #takeBlob(digest: string, inline: string | undefined): void {
    if (inline !== undefined) {
      const bytes = Buffer.from(inline, "base64");
      if (bytes.length > INLINE_BLOB_MAX_BYTES) this.#violation("an inline blob is too large");
      if (createHash("sha256").update(bytes).digest("hex") !== digest)
        this.#violation("an inline blob has other bytes");
      this.#blobs.set(digest, bytes);
    }
    if (!this.#blobs.has(digest))
      throw new BerthError("missing_blobs", "blobs are missing", { details: { missing: [digest] } });
  }

  #end(stepRun: string): void {
    if (this.#terminal.has(stepRun)) this.#violation(`${stepRun} ended twice`);
    this.#terminal.add(stepRun);
  }
}
