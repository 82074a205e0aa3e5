import { fault } from "../../protocol/faults.ts";
import {
  type AttemptRef,
  BackendError,
  type BackendOptions,
  type BackendSession,
  type CancelOptions,
  type Capabilities,
  type ExecutionBackend,
} from "../execution-backend.ts";
import type { ImageResult } from "../image-request.ts";
import { type MemoryClock, REAL_CLOCK } from "./clock.ts";
import type { MemoryAttempt } from "./memory-attempt.ts";
import { MemorySession } from "./memory-session.ts";
import { exits, type Script } from "./script.ts";

/** Every call that a session received, in order. */
export interface MemoryCall {
  readonly method: keyof BackendSession;
  /** The step run's key, the scope, or the image. */
  readonly about: string | null;
}

/** Breaking the protocol is a defect of the caller: never retryable, and kept in `misuses` in case it is swallowed. */
export class MisuseError extends Error {
  override readonly name = "MisuseError";
}

export interface MemoryOptions {
  readonly clock?: MemoryClock;
  readonly capabilities?: Partial<Capabilities>;
  /** What a step does when no script was given for it; exits with 0 by default. */
  readonly fallback?: Script;
}

export const MEMORY_CAPABILITIES: Capabilities = {
  images: false,
  build: false,
  prepareAhead: true,
  cancel: "tree",
  network: { none: true, run: true, allow: false },
  limits: { cpu: true, memory: true, pids: true, disk: false },
  oom: true,
  fixedPaths: true,
  readOnlyInputs: false,
  readOnlyRoot: false,
  profiles: false,
  fileSystemIsolation: false,
  recordSurvivesDeletion: true,
  stats: true,
  gpus: true,
  enter: false,
};

/**
 * The strict programmable fake: a platform that lives in memory. Sessions come and go as agents do; attempts stay,
 * so a new session finds what an earlier one left. Tests say what steps do, make the platform fail, and look at the
 * calls made; whoever breaks the protocol of execution-backend.ts gets a MisuseError.
 *
 *     const backend = new MemoryBackend();
 *     backend.script("train", exits(1), exits(0, { outputs: { model: "…" } }));   // first attempt, second and later
 *     backend.script("score", hangs());
 *     …
 *     (await backend.started("score")).finish({ exit: 0 });
 *     backend.assertNoMisuse();
 */
export class MemoryBackend implements ExecutionBackend {
  readonly name = "memory";
  readonly capabilities: Capabilities;
  readonly clock: MemoryClock;
  readonly calls: MemoryCall[] = [];
  readonly misuses: string[] = [];
  /** Attempts that the platform holds, by object name. */
  readonly attempts = new Map<string, MemoryAttempt>();
  /** Names that were released: an attempt never comes back. */
  readonly released = new Set<string>();
  /** Cancelled before they existed. */
  readonly cancelledAhead = new Map<string, CancelOptions["reason"]>();
  readonly scopes = new Set<string>();
  /** Images that `prepareImage` returned. */
  readonly images = new Set<string>();
  readonly #fallback: Script;
  readonly #scripts = new Map<string, readonly Script[]>();
  readonly #imageResults = new Map<string, () => ImageResult | Promise<ImageResult>>();
  readonly #sessions = new Set<MemorySession>();
  readonly #starting: { stepRun: string; attempt: number | null; found: (attempt: MemoryAttempt) => void }[] = [];
  #outages: { methods: ReadonlySet<keyof BackendSession> | null; calls: number }[] = [];

  constructor(options: MemoryOptions = {}) {
    this.capabilities = { ...MEMORY_CAPABILITIES, ...options.capabilities };
    this.clock = options.clock ?? REAL_CLOCK;
    this.#fallback = options.fallback ?? exits(0);
  }

  async open(options: BackendOptions): Promise<BackendSession> {
    const session = new MemorySession(this, options);
    this.#sessions.add(session);
    return session;
  }

  // What a test programs.

  /** The behaviour of a step run: the nth script is for the nth attempt, the last one for all that follow. */
  script(stepRun: string, ...scripts: [Script, ...Script[]]): void {
    this.#scripts.set(stepRun, scripts);
  }

  /** What `prepareImage` answers for an image; without this every image is there. */
  image(image: string, result: () => ImageResult | Promise<ImageResult>): void {
    this.#imageResults.set(image, result);
  }

  /** The platform does not answer the next calls, of these methods or of any. */
  becomeUnavailable(outage: { readonly calls: number; readonly methods?: readonly (keyof BackendSession)[] }): void {
    const methods = outage.methods === undefined ? null : new Set(outage.methods);
    this.#outages.push({ methods, calls: outage.calls });
  }

  /** The platform answers again, whatever was left of its outages. */
  becomeAvailable(): void {
    this.#outages = [];
  }

  /** What kill -9 of the agent is to the platform: every session is dead, every attempt goes on. */
  killSessions(): void {
    for (const session of this.#sessions) session.kill();
    this.#sessions.clear();
  }

  // What a test looks at.

  /** The latest attempt of a step run, or a certain one. Throws when the platform holds none. */
  attempt(stepRun: string, attempt: number | null = null): MemoryAttempt {
    const found = this.#find(stepRun, attempt);
    if (found !== undefined) return found;
    const held = [...this.attempts.values()].map(({ ref }) => `${ref.stepRun} #${ref.attempt}`).join(", ");
    throw new Error(`The platform holds no attempt ${attempt ?? ""} of ${stepRun}, only: ${held || "none"}.`);
  }

  /** The same once its user code has been started. */
  started(stepRun: string, attempt: number | null = null): Promise<MemoryAttempt> {
    const found = this.#find(stepRun, attempt);
    if (found !== undefined && found.state !== "held") return Promise.resolve(found);
    return new Promise((resolve) => this.#starting.push({ stepRun, attempt, found: resolve }));
  }

  /** How often a method was called, for one step run or in all. */
  callsOf(method: keyof BackendSession, about: string | null = null): number {
    return this.calls.filter((call) => call.method === method && (about === null || call.about === about)).length;
  }

  /** Throws when any session broke the protocol, even if the caller swallowed the error. */
  assertNoMisuse(): void {
    if (this.misuses.length > 0) throw new MisuseError(`The protocol was broken:\n${this.misuses.join("\n")}`);
  }

  // What sessions need of the platform.

  /** Notes a call, and fails it while the platform is out. */
  enter(method: keyof BackendSession, about: string | null): void {
    this.calls.push({ method, about });
    const outage = this.#outages.find(({ methods, calls }) => calls > 0 && (methods === null || methods.has(method)));
    if (outage === undefined) return;
    outage.calls -= 1;
    const tried = `${String(method)}${about === null ? "" : ` of ${about}`}`;
    throw new BackendError("unavailable", fault("backend-unavailable", `The platform did not answer: ${tried}.`));
  }

  misuse(message: string): never {
    this.misuses.push(message);
    throw new MisuseError(message);
  }

  imageResult(image: string): ImageResult | Promise<ImageResult> {
    return this.#imageResults.get(image)?.() ?? { ok: true, image, digest: null, cached: true };
  }

  scriptFor(ref: AttemptRef): Script {
    const scripts = this.#scripts.get(ref.stepRun);
    return scripts?.[Math.min(ref.attempt, scripts.length) - 1] ?? this.#fallback;
  }

  changed(name: string): void {
    const attempt = this.attempts.get(name);
    if (attempt !== undefined && attempt.state !== "held") this.#tellStarted(attempt);
    for (const session of this.#sessions) session.hint(name);
  }

  forget(session: MemorySession): void {
    this.#sessions.delete(session);
  }

  #find(stepRun: string, attempt: number | null): MemoryAttempt | undefined {
    return [...this.attempts.values()]
      .filter(({ ref }) => ref.stepRun === stepRun && (attempt === null || ref.attempt === attempt))
      .sort((a, b) => b.ref.attempt - a.ref.attempt)[0];
  }

  #tellStarted({ ref }: MemoryAttempt): void {
    for (const waiting of this.#starting.splice(0)) {
      const isMeant = waiting.stepRun === ref.stepRun && [null, ref.attempt].includes(waiting.attempt);
      if (isMeant) waiting.found(this.attempt(ref.stepRun, ref.attempt));
      else this.#starting.push(waiting);
    }
  }
}
