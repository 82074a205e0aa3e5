import { createHash } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import {
  type Assignment,
  BootRequest,
  EventsRequest,
  HeartbeatRequest,
  type LeaseRef,
  MissingBlobsRequest,
  PollRequest,
  RegisterRequest,
} from "../../protocol/agent-api.ts";
import { decodeBlobBatch, encodeBlobBatch, ReadBlobsRequest } from "../../protocol/blob-batch.ts";
import { type CacheHit, type CacheLookup, CacheLookups } from "../../protocol/cache.ts";
import type { CancelFacts } from "../../protocol/cancel.ts";
import { BerthError } from "../../protocol/errors.ts";
import { newId } from "../../protocol/ids.ts";
import { MessagesRequest } from "../../protocol/messages.ts";
import {
  contentDigest,
  parseSignature,
  SIGNATURE_MAX_AGE_SECONDS,
  UNSIGNED_PAYLOAD,
  verifySignature,
} from "../../protocol/signature.ts";
import { FakeRun } from "./fake-run.ts";

/** What becomes of a request before, or instead of, its real handling. */
export type Interference =
  /** The connection breaks before the server did anything. */
  | "drop"
  /** The server does it, and the answer is lost on the way. */
  | "lose-answer"
  | BerthError
  | undefined;

export interface FakeServerOptions {
  /** How far the server's clock is from this machine's. */
  readonly clockSkewMs?: number;
  readonly interfere?: (path: string) => Interference;
}

interface Worker {
  readonly id: string;
  readonly publicKey: string;
  bootId: string | null;
}

/**
 * A strict, programmable server for tests of the agent: it implements the agent API in memory, checks each signature
 * and every rule of the protocol, and notes what it found wrong in `violations`.
 */
export class FakeServer implements AsyncDisposable {
  readonly runs = new Map<string, FakeRun>();
  readonly blobs = new Map<string, Buffer>();
  /** Every request as `POST /poll`, in order of arrival. */
  readonly requests: string[] = [];
  readonly violations: string[] = [];
  readonly heartbeats: HeartbeatRequest[] = [];
  interfere: (path: string) => Interference;
  draining = false;
  /** What is known from before. */
  cached: (lookup: CacheLookup) => CacheHit | null = () => null;
  readonly #clockSkewMs: number;
  readonly #workers = new Map<string, Worker>();
  readonly #http: http.Server;
  readonly #waiting = new Set<() => void>();
  #port = 0;

  private constructor(options: FakeServerOptions) {
    this.#clockSkewMs = options.clockSkewMs ?? 0;
    this.interfere = options.interfere ?? (() => undefined);
    this.#http = http.createServer((request, response) => void this.#serve(request, response));
  }

  static async start(options: FakeServerOptions = {}): Promise<FakeServer> {
    const server = new FakeServer(options);
    await server.comeBack();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The process of the server is gone: connections break, new ones are refused. */
  async goAway(): Promise<void> {
    this.#wakeAll();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  async comeBack(): Promise<void> {
    await new Promise<void>((resolve) => this.#http.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (this.#http.address() as AddressInfo).port;
  }

  /** Queues a run; the next poll with a free slot gets it. */
  submit(assignment: Assignment): FakeRun {
    const run = new FakeRun(assignment, this.blobs, (message) => this.violations.push(message));
    this.runs.set(assignment.run, run);
    this.#wakeAll();
    return run;
  }

  /** Puts a blob in the store; returns its digest. */
  addBlob(bytes: Buffer): string {
    const digest = createHash("sha256").update(bytes).digest("hex");
    this.blobs.set(digest, bytes);
    return digest;
  }

  cancel(run: FakeRun, facts: Partial<CancelFacts> = {}): void {
    run.cancelRequested = { by: "somebody", reason: null, code: "cancelled", ...facts };
    this.#wakeAll();
  }

  /** Gives the run to somebody else: every write of the old holder is stale from here on. */
  revoke(run: FakeRun): void {
    run.epoch += 1;
    run.holder = "wrk_somebodyelse";
    this.#wakeAll();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#http.listening) await this.goAway();
  }

  #wakeAll(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const path = request.url!.replace("/api/v1/agent", "").replace(/\?.*/, "");
    this.requests.push(`${request.method} ${path}`);
    const interference = this.interfere(path);
    if (interference === "drop") {
      request.socket.destroy();
      return;
    }
    try {
      if (interference instanceof BerthError) throw interference;
      const body = await buffer(request);
      const answer = path === "/api/v1/health" ? { status: "ok" } : await this.#handle(request, path, body);
      if (interference === "lose-answer") request.socket.destroy();
      else this.#answer(response, 200, answer);
    } catch (error) {
      const known = error instanceof BerthError ? error : new BerthError("internal", String(error), { cause: error });
      if (known.code === "internal" || known.code === "invalid_body")
        this.violations.push(`${path}: ${(error as Error).stack}`);
      this.#answer(response, known.status, known.toBody());
    }
  }

  #answer(response: http.ServerResponse, status: number, answer: unknown): void {
    const bytes = Buffer.isBuffer(answer) ? answer : Buffer.from(JSON.stringify(answer));
    response.writeHead(status, {
      "berth-server-time": String(Math.floor(this.#now() / 1000)),
      "content-length": bytes.length,
    });
    response.end(bytes);
  }

  #now(): number {
    return Date.now() + this.#clockSkewMs;
  }

  async #handle(request: http.IncomingMessage, path: string, body: Buffer): Promise<unknown> {
    if (path === "/register") return this.#register(RegisterRequest.parse(JSON.parse(body.toString())));
    const worker = this.#authenticate(request, body);
    if (path === "/boot") return this.#boot(worker, request, BootRequest.parse(JSON.parse(body.toString())));
    if (request.headers["berth-boot"] !== worker.bootId)
      throw new BerthError("stale_boot", "a newer boot speaks for this worker");
    if (path === "/heartbeat") return this.#heartbeat(worker, HeartbeatRequest.parse(JSON.parse(body.toString())));
    if (path === "/poll") return this.#poll(worker, PollRequest.parse(JSON.parse(body.toString())));
    return this.#ofRun(worker, request, path, body);
  }

  #register(request: RegisterRequest) {
    const worker: Worker = { id: newId("worker"), publicKey: request.publicKey, bootId: null };
    this.#workers.set(worker.id, worker);
    return { workerId: worker.id, installation: "test", project: "default", pool: "default", labels: [] };
  }

  #authenticate(request: http.IncomingMessage, body: Buffer): Worker {
    const parsed = parseSignature(String(request.headers["signature-input"]), String(request.headers.signature));
    const worker = parsed === null ? undefined : this.#workers.get(parsed.workerId);
    if (parsed === null || worker === undefined) throw new BerthError("unauthenticated", "no such worker");
    const digest = String(request.headers["content-digest"]);
    if (digest !== UNSIGNED_PAYLOAD && digest !== contentDigest(body))
      throw new BerthError("unauthenticated", "other body");
    const signed = {
      method: request.method!,
      target: request.url!,
      contentDigest: digest,
      bootId: String(request.headers["berth-boot"]),
      created: parsed.created,
      workerId: worker.id,
    };
    if (!verifySignature(signed, parsed.signature, worker.publicKey))
      throw new BerthError("unauthenticated", "bad signature");
    if (Math.abs(this.#now() / 1000 - parsed.created) > SIGNATURE_MAX_AGE_SECONDS) {
      throw new BerthError("signature_expired", "the signature is too old or from the future");
    }
    return worker;
  }

  #boot(worker: Worker, request: http.IncomingMessage, boot: BootRequest) {
    if (request.headers["berth-boot"] !== boot.bootId)
      this.violations.push("boot: header and body name different boots");
    worker.bootId = boot.bootId;
    this.#wakeAll();
    const kept = boot.held.filter((lease) => this.#holds(worker, lease));
    const lost = boot.held.filter((lease) => !this.#holds(worker, lease));
    for (const run of this.runs.values()) {
      if (run.holder === worker.id && !run.ended && !kept.some((lease) => lease.run === run.id)) run.release();
    }
    return {
      worker: { id: worker.id, name: "test", pool: "default", labels: [] },
      installation: "test",
      kept: kept.map((lease) => {
        const run = this.runs.get(lease.run)!;
        return { ...lease, ackedSeq: run.events.length, cancel: run.cancelRequested };
      }),
      lost,
      serverTime: new Date(this.#now()).toISOString(),
    };
  }

  #holds(worker: Worker, lease: LeaseRef): boolean {
    const run = this.runs.get(lease.run);
    return run !== undefined && run.holder === worker.id && run.epoch === lease.epoch;
  }

  #heartbeat(worker: Worker, request: HeartbeatRequest) {
    this.heartbeats.push(request);
    return {
      extended: request.held.filter((lease) => this.#holds(worker, lease)),
      lost: request.held.filter((lease) => !this.#holds(worker, lease)),
      cancel: this.#cancels(request.held),
      draining: this.draining,
    };
  }

  #cancels(held: readonly LeaseRef[]) {
    return held
      .map((lease) => ({ lease, facts: this.runs.get(lease.run)?.cancelRequested }))
      .flatMap(({ lease, facts }) => (facts ? [{ ...lease, ...facts }] : []));
  }

  async #poll(worker: Worker, request: PollRequest) {
    const deadline = Date.now() + request.waitMs;
    for (;;) {
      const assignments: Assignment[] = [];
      for (const run of this.runs.values()) {
        const undelivered =
          run.holder === worker.id && !run.ended && !request.held.some((lease) => lease.run === run.id);
        const grantable = run.holder === null && assignments.length < request.freeSlots;
        if (grantable) run.grant(worker.id);
        if (grantable || undelivered) assignments.push(run.assignment());
      }
      const cancel = this.#cancels(request.held).filter(({ run }) => !request.knownCancels.includes(run));
      const lost = request.held.filter((lease) => !this.#holds(worker, lease));
      const waitMs = deadline - Date.now();
      if (assignments.length + cancel.length + lost.length > 0 || waitMs <= 0 || !this.#http.listening) {
        return { assignments, cancel, lost };
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs);
        this.#waiting.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  async #ofRun(worker: Worker, request: http.IncomingMessage, path: string, body: Buffer): Promise<unknown> {
    const [, , id, kind, digest] = path.split("/");
    const run = this.runs.get(id!);
    if (run === undefined) throw new BerthError("not_found", `no run ${id}`);
    const lease = (epoch: number) => {
      if (!this.#holds(worker, { run: run.id, epoch })) throw new BerthError("stale_epoch", `epoch ${epoch} is over`);
    };
    if (kind === "events") {
      const { epoch, events } = EventsRequest.parse(JSON.parse(body.toString()));
      lease(epoch);
      const ackedSeq = run.take(events);
      this.#wakeAll();
      return { ackedSeq, cancel: run.cancelRequested };
    }
    if (kind === "cache") {
      const { epoch, lookups } = CacheLookups.parse(JSON.parse(body.toString()));
      lease(epoch);
      return { hits: lookups.map((lookup) => this.cached(lookup)) };
    }
    if (kind === "logs") return run.takeLogs(body, lease);
    if (kind === "blobs" && digest === "read") {
      const { epoch, digests } = ReadBlobsRequest.parse(JSON.parse(body.toString()));
      lease(epoch);
      const found = digests.map((one) => ({ digest: one, bytes: this.blobs.get(one) }));
      return encodeBlobBatch(found.flatMap(({ digest: one, bytes }) => (bytes ? [{ digest: one, bytes }] : [])));
    }
    if (kind === "messages") {
      const { epoch, ...said } = MessagesRequest.parse(JSON.parse(body.toString()));
      lease(epoch);
      return { accepted: run.takeMessages(said) };
    }
    if (kind === "blobs" && digest === "missing") {
      const { epoch, digests } = MissingBlobsRequest.parse(JSON.parse(body.toString()));
      lease(epoch);
      return { missing: digests.filter((one) => !this.blobs.has(one)) };
    }
    lease(Number(new URL(request.url!, "http://x").searchParams.get("epoch")));
    if (digest === undefined) {
      const batch = decodeBlobBatch(body);
      for (const { digest: one, bytes } of batch) this.#store(one, Buffer.from(bytes));
      return { stored: batch.length };
    }
    if (request.method === "GET") {
      const bytes = this.blobs.get(digest);
      if (bytes === undefined) throw new BerthError("not_found", `no blob ${digest}`);
      return bytes;
    }
    this.#store(digest, body);
    return { digest, size: body.length };
  }

  #store(digest: string, bytes: Buffer): void {
    if (createHash("sha256").update(bytes).digest("hex") !== digest)
      throw new BerthError("digest_mismatch", "other bytes");
    this.blobs.set(digest, bytes);
  }
}
