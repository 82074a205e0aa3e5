import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { fault } from "../../protocol/faults.ts";
import {
  type AttemptRef,
  type AttemptSpec,
  BackendError,
  type BackendOptions,
  type BackendSession,
  type CancelOptions,
  type Handle,
  type LogOptions,
  type Observation,
  type OwnedAttempt,
  type PlanResult,
  type Probe,
  type Stats,
} from "../execution-backend.ts";
import type { ImageRequest, ImageResult } from "../image-request.ts";
import { objectName } from "../object-name.ts";
import { lostOutcome } from "../outcomes.ts";
import { MemoryAttempt } from "./memory-attempt.ts";
import type { MemoryBackend } from "./memory-backend.ts";
import { planForMemory } from "./plan.ts";

/** One agent's connection to the fake platform. All it does is check the protocol and pass the call on. */
export class MemorySession implements BackendSession {
  readonly #platform: MemoryBackend;
  readonly #options: BackendOptions;
  readonly #hints = new Set<(name: string) => void>();
  readonly #names = new Map<string, string>();
  #closed: "disposed" | "killed" | null = null;

  constructor(platform: MemoryBackend, options: BackendOptions) {
    this.#platform = platform;
    this.#options = options;
  }

  async probe(): Promise<Probe> {
    const { capabilities } = this.#platform;
    try {
      this.#enter("probe", null);
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      return { healthy: false, reason: error.message, capabilities, facts: {} };
    }
    return { healthy: true, capabilities, facts: { attempts: this.#platform.attempts.size } };
  }

  plan(spec: AttemptSpec): PlanResult {
    return planForMemory(spec, this.#platform.capabilities);
  }

  async prepareImage(
    request: ImageRequest,
    onLog: (chunk: Uint8Array) => void,
    signal: AbortSignal,
  ): Promise<ImageResult> {
    const image = request.kind === "ready" ? request.image : request.tag;
    this.#enter("prepareImage", image);
    signal.throwIfAborted();
    if (!this.#platform.capabilities.images) {
      const why = "Steps of this backend do not run from images.";
      return { ok: false, fault: fault("spec-unsupported", why) };
    }
    onLog(Buffer.from(`preparing ${image}\n`));
    const stopped = once(signal, "abort").then(() => Promise.reject(signal.reason));
    const result = await Promise.race([this.#platform.imageResult(image), stopped]);
    if (result.ok) this.#platform.images.add(result.image);
    return result;
  }

  async prepare(ref: AttemptRef, spec: AttemptSpec): Promise<void> {
    this.#enter("prepare", ref.stepRun);
    const existing = this.#platform.attempts.get(this.#nameOf(ref));
    if (existing !== undefined && existing.state !== "held") {
      this.#misuse(`prepare of ${describe(ref)} after its submit`);
    }
    this.#createOrAdopt(ref, spec);
  }

  async submit(ref: AttemptRef, spec: AttemptSpec): Promise<Handle> {
    this.#enter("submit", ref.stepRun);
    const attempt = this.#createOrAdopt(ref, spec);
    attempt.start(this.#platform.scriptFor(ref));
    return attempt.handle;
  }

  async attach(ref: AttemptRef): Promise<Handle | null> {
    this.#enter("attach", ref.stepRun);
    return this.#platform.attempts.get(this.#nameOf(ref))?.handle ?? null;
  }

  async observe(handles: readonly Handle[]): Promise<Map<string, Observation | BackendError>> {
    const seen = new Map<string, Observation | BackendError>();
    for (const handle of handles) seen.set(handle.name, this.#observeOne(handle));
    return seen;
  }

  watch(onHint: (name: string) => void): Disposable {
    this.#alive("watch");
    this.#hints.add(onHint);
    return { [Symbol.dispose]: () => void this.#hints.delete(onHint) };
  }

  async *logs(handle: Handle, stream: "stdout" | "stderr", options: LogOptions): AsyncGenerator<Uint8Array> {
    this.#enter("logs", handle.ref.stepRun);
    this.#check(handle);
    const attempt = this.#platform.attempts.get(handle.name);
    if (attempt === undefined) this.#misuse(`logs of ${describe(handle.ref)}, which is released or unknown`);
    yield* attempt.logs[stream].read(options.offset, options.follow, options.signal);
  }

  async cancel(handle: Handle, options: CancelOptions): Promise<"requested" | "already-terminal"> {
    this.#enter("cancel", handle.ref.stepRun);
    this.#check(handle);
    const attempt = this.#platform.attempts.get(handle.name);
    if (attempt === undefined) {
      if (this.#platform.released.has(handle.name)) return "already-terminal";
      this.#platform.cancelledAhead.set(handle.name, options.reason);
      return "requested";
    }
    if (attempt.state === "terminal") return "already-terminal";
    attempt.cancel(options);
    return "requested";
  }

  async stats(handles: readonly Handle[]): Promise<Map<string, Stats>> {
    this.#enter("stats", null);
    const running = handles.filter(({ name }) => this.#platform.attempts.get(name)?.state === "running");
    return new Map(running.map(({ name }) => [name, { cpuMs: 0, memoryBytes: 0 }]));
  }

  async layerUse(): Promise<null> {
    this.#enter("layerUse", null);
    return null;
  }

  async release(handle: Handle, options: { readonly force?: boolean } = {}): Promise<void> {
    this.#enter("release", handle.ref.stepRun);
    this.#check(handle);
    const attempt = this.#platform.attempts.get(handle.name);
    if (attempt === undefined) return;
    if (attempt.state === "running" && options.force !== true) {
      const why = `${describe(handle.ref)} still runs; cancel it first, or release it with force.`;
      throw new BackendError("still-running", fault("agent-error", why));
    }
    attempt.cancel({ graceMs: 0, reason: "user" });
    attempt.finish({ signal: "SIGKILL" });
    this.#platform.attempts.delete(handle.name);
    this.#platform.released.add(handle.name);
  }

  async releaseScope(scope: string): Promise<void> {
    this.#enter("releaseScope", scope);
    const left = [...this.#platform.attempts.values()].filter(({ ref }) => ref.scope === scope);
    if (left.length > 0) this.#misuse(`releaseScope of ${scope} before ${describe(left[0]!.ref)} was released`);
    this.#platform.scopes.delete(scope);
  }

  async *list(): AsyncGenerator<OwnedAttempt> {
    this.#enter("list", null);
    for (const { handle, createdAtMs, state, spec } of [...this.#platform.attempts.values()]) {
      yield { handle, createdAtMs, running: state === "running", labels: spec.labels };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= "disposed";
    this.#hints.clear();
    this.#platform.forget(this);
  }

  // For the platform.

  hint(name: string): void {
    // Hints arrive after the call that caused them, as from a real platform.
    for (const onHint of this.#hints) queueMicrotask(() => this.#hints.has(onHint) && onHint(name));
  }

  kill(): void {
    this.#closed = "killed";
    this.#hints.clear();
  }

  #observeOne(handle: Handle): Observation | BackendError {
    try {
      this.#enter("observe", handle.ref.stepRun);
    } catch (error) {
      if (error instanceof BackendError) return error;
      throw error;
    }
    this.#check(handle);
    const attempt = this.#platform.attempts.get(handle.name);
    if (attempt !== undefined) return attempt.observation();
    const known = this.#platform.released.has(handle.name) || this.#platform.cancelledAhead.has(handle.name);
    if (!known) this.#misuse(`observe of ${describe(handle.ref)}, which was never submitted`);
    const outcome = lostOutcome("The platform holds no such attempt.");
    return { state: "terminal", userCode: "unknown", outcome };
  }

  #createOrAdopt(ref: AttemptRef, spec: AttemptSpec): MemoryAttempt {
    this.#refuseUnsupported(spec);
    const name = this.#nameOf(ref);
    const existing = this.#platform.attempts.get(name);
    if (existing !== undefined) {
      if (isDeepStrictEqual(existing.spec, spec)) return existing;
      const why = `The attempt of ${describe(ref)} exists with another spec.`;
      throw new BackendError("spec-conflict", fault("spec-conflict", why));
    }
    if (this.#platform.released.has(name)) this.#misuse(`${describe(ref)} was released and is created again`);
    if (spec.image !== null && !this.#platform.images.has(spec.image)) {
      this.#misuse(`${describe(ref)} uses image ${spec.image}, which prepareImage did not return`);
    }
    if (!existsSync(join(spec.folder, "ctl"))) this.#misuse(`the attempt folder ${spec.folder} was not made`);
    const handle = { backend: this.#platform.name, name, ref, folder: spec.folder };
    const attempt = new MemoryAttempt(handle, spec, this.#platform.clock, (changed) => this.#platform.changed(changed));
    this.#platform.attempts.set(name, attempt);
    this.#platform.scopes.add(ref.scope);
    const cancelled = this.#platform.cancelledAhead.get(name);
    if (cancelled !== undefined) attempt.cancel({ graceMs: 0, reason: cancelled });
    return attempt;
  }

  #refuseUnsupported(spec: AttemptSpec): void {
    const planned = this.plan(spec);
    if (planned.ok) return;
    const why = planned.unsupported.map(({ path, why: reason }) => `${path}: ${reason}`).join("; ");
    throw new BackendError("spec-unsupported", fault("spec-unsupported", `The backend cannot run this: ${why}.`));
  }

  #enter(method: keyof BackendSession, about: string | null): void {
    this.#alive(method);
    this.#platform.enter(method, about);
  }

  /** After dispose a call is a defect of the caller; after a kill it is what is left of a dead agent: it fails. */
  #alive(method: keyof BackendSession): void {
    if (this.#closed === "disposed") this.#misuse(`${String(method)} after the session was disposed`);
    if (this.#closed === "killed") {
      throw new BackendError("unavailable", fault("backend-unavailable", "The agent of this session is dead."));
    }
  }

  #check(handle: Handle): void {
    if (handle.backend !== this.#platform.name) this.#misuse(`a handle of backend ${handle.backend} was passed`);
    if (handle.name !== this.#nameOf(handle.ref)) this.#misuse(`the handle of ${describe(handle.ref)} was altered`);
  }

  #misuse(message: string): never {
    return this.#platform.misuse(message);
  }

  /** A name is a hash, and asked for at every call. */
  #nameOf(ref: AttemptRef): string {
    const identity = `${ref.run} ${ref.scope} ${ref.stepRun} ${ref.attempt}`;
    const known = this.#names.get(identity);
    if (known !== undefined) return known;
    const name = objectName(this.#options.installation, ref);
    this.#names.set(identity, name);
    return name;
  }
}

function describe({ run, stepRun, attempt }: AttemptRef): string {
  return `${stepRun} #${attempt} of ${run}`;
}
