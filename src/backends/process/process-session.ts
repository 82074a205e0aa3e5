import { accessSync, constants } from "node:fs";
import { fault } from "../../protocol/faults.ts";
import { makeControlFolder, sayGo, wasClaimed, writeCancel } from "../../shim/control-folder.ts";
import { ShimLauncher } from "../../shim/launcher.ts";
import { CTL } from "../../shim/shim.ts";
import {
  type AttemptRef,
  type AttemptSpec,
  BackendError,
  type BackendSession,
  type CancelOptions,
  type Handle,
  type LogOptions,
  type Observation,
  type OwnedAttempt,
  type PlanResult,
  type Probe,
  type Stats,
  type Terminal,
} from "../execution-backend.ts";
import type { ImageResult } from "../image-request.ts";
import { objectName } from "../object-name.ts";
import { specHash } from "../spec-hash.ts";
import type { Claim, Claims } from "./claims.ts";
import { enterProcess } from "./enter-process.ts";
import { followLog } from "./follow-log.ts";
import { Hints } from "./hints.ts";
import { killAttempt } from "./kill-attempt.ts";
import { launchShim } from "./launch-shim.ts";
import { PROCESS_CAPABILITIES, planProcess } from "./plan.ts";
import { onPlatform } from "./platform-error.ts";
import { findShims } from "./proc.ts";
import { sendSignal } from "./send-signal.ts";
import { type Sight, TrackedAttempt } from "./tracked-attempt.ts";
import { treeStats } from "./tree-stats.ts";
import { Waiters } from "./waiters.ts";

export interface ProcessSessionOptions {
  readonly name: string;
  readonly installation: string;
  readonly claims: Claims;
  /** Path of the shim's program. */
  readonly shim: string;
}

/**
 * Attempts as plain processes of this host. What must outlive the agent is in files: the claims, and the control
 * folders through which the shims are steered. What is in memory only saves looking.
 */
export class ProcessSession implements BackendSession {
  readonly #options: ProcessSessionOptions;
  readonly #claims: Claims;
  readonly #tracked = new Map<string, TrackedAttempt>();
  readonly #waiters = new Waiters();
  readonly #launcher: ShimLauncher;
  readonly #hints = new Hints(() => this.#lookAfterAdopted());

  constructor(options: ProcessSessionOptions) {
    this.#options = options;
    this.#claims = options.claims;
    this.#launcher = new ShimLauncher(options.shim);
  }

  async probe(): Promise<Probe> {
    const { shim } = this.#options;
    const facts = { shim, attempts: this.#tracked.size };
    try {
      accessSync(shim, constants.X_OK);
      this.#claims.check();
      return { healthy: true, capabilities: PROCESS_CAPABILITIES, facts };
    } catch (error) {
      const reason = `The shim must be executable and the state folder writable: ${String(error)}`;
      return { healthy: false, reason, capabilities: PROCESS_CAPABILITIES, facts };
    }
  }

  plan(spec: AttemptSpec): PlanResult {
    return planProcess(spec);
  }

  async prepareImage(): Promise<ImageResult> {
    const message = "Plain processes run without images: what a step needs must be installed on the worker.";
    return { ok: false, fault: fault("spec-unsupported", message) };
  }

  async prepare(ref: AttemptRef, spec: AttemptSpec): Promise<void> {
    await this.#createOrAdopt(ref, spec);
  }

  async submit(ref: AttemptRef, spec: AttemptSpec): Promise<Handle> {
    const attempt = await this.#createOrAdopt(ref, spec, (claimed) => this.#sayGo(claimed));
    return attempt.handle;
  }

  async attach(ref: AttemptRef): Promise<Handle | null> {
    const name = this.#nameOf(ref);
    return onPlatform(`look for ${name}`, () => {
      const claim = this.#claims.read(name);
      if (claim === null) return null;
      const attempt = this.#track({ backend: this.#options.name, name, ref: claim.ref, folder: claim.folder });
      const { state, userCode } = attempt.observe(this.#sight(name));
      // A claim that was left before anything was started is not an attempt.
      return state !== "held" && userCode === "never" && !wasClaimed(attempt.controlFolder) ? null : attempt.handle;
    });
  }

  async observe(handles: readonly Handle[]): Promise<Map<string, Observation | BackendError>> {
    const seen = new Map<string, Observation | BackendError>();
    const shims = once(findShims);
    for (const handle of handles) {
      try {
        seen.set(
          handle.name,
          onPlatform(`look at ${handle.name}`, () => this.#observeOne(handle, shims)),
        );
      } catch (error) {
        if (!(error instanceof BackendError)) throw error;
        seen.set(handle.name, error);
      }
    }
    return seen;
  }

  watch(onHint: (name: string) => void): Disposable {
    return this.#hints.add(onHint);
  }

  logs(handle: Handle, stream: "stdout" | "stderr", options: LogOptions): AsyncIterable<Uint8Array> {
    const source = {
      path: `${handle.folder}/ctl/${CTL[stream]}`,
      ended: () => onPlatform(`look at ${handle.name}`, () => this.#observeOne(handle).state === "terminal"),
      changed: (signal: AbortSignal | undefined) => this.#waiters.next(handle.name, signal),
    };
    return followLog(source, options);
  }

  async cancel(handle: Handle, { graceMs, reason }: CancelOptions): Promise<"requested" | "already-terminal"> {
    return onPlatform(`cancel ${handle.name}`, () => {
      const attempt = this.#track(handle);
      // An attempt that was never submitted has no end yet: the intent waits for it.
      const isKnown = attempt.isChild || this.#claims.read(handle.name) !== null || wasClaimed(attempt.controlFolder);
      if (isKnown && this.#observeOne(handle).state === "terminal") return "already-terminal";
      writeCancel(attempt.controlFolder, { graceMs, reason });
      // A shim that has begun looks at the intent now and then, and at once after a TERM. One that has not looks at it
      // before it begins, and a TERM could find it before it handles signals at all.
      const pid = wasClaimed(attempt.controlFolder) ? attempt.pid(findShims) : null;
      if (pid !== null) sendSignal(pid, "SIGTERM");
      return "requested";
    });
  }

  /** A process writes into its attempt folder; where else it writes on its host is nobody's to count. */
  async layerUse(): Promise<null> {
    return null;
  }

  async stats(handles: readonly Handle[]): Promise<Map<string, Stats>> {
    const shims = once(findShims);
    const pids = new Map<string, number>();
    for (const handle of handles) {
      if (this.#observeOne(handle, shims).state === "terminal") continue;
      const pid = this.#track(handle).pid(shims);
      if (pid !== null) pids.set(handle.name, pid);
    }
    return treeStats(pids);
  }

  async release(handle: Handle, { force = false }: { readonly force?: boolean } = {}): Promise<void> {
    const attempt = this.#track(handle);
    const { state, outcome } = onPlatform(`look at ${handle.name}`, () => this.#observeOne(handle));
    if (!force && (state === "running" || state === "starting")) {
      const message = `Attempt ${handle.name} still runs; cancel it first, or release it with force.`;
      throw new BackendError("still-running", fault("agent-error", message));
    }
    if (outcome === undefined || outcome.state === "lost") await killAttempt(attempt, this.#waiters);
    onPlatform(`release ${handle.name}`, () => this.#claims.remove(handle.name));
    this.#tracked.delete(handle.name);
  }

  /** Attempts of a scope share nothing here. */
  async releaseScope(): Promise<void> {}

  async enter(_ref: AttemptRef, spec: AttemptSpec, terminal: Terminal, signal: AbortSignal): Promise<number> {
    refuseUnsupported(planProcess(spec));
    return enterProcess(spec, terminal, signal);
  }

  async *list(): AsyncGenerator<OwnedAttempt> {
    yield* onPlatform("list the attempts", () => {
      const shims = once(findShims);
      return this.#claims.names().flatMap((name) => {
        const claim = this.#claims.read(name);
        if (claim === null) return [];
        const handle = { backend: this.#options.name, name, ref: claim.ref, folder: claim.folder };
        const running = this.#observeOne(handle, shims).state !== "terminal";
        return [{ handle, createdAtMs: claim.createdAtMs, running, labels: claim.labels ?? {} }];
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#launcher[Symbol.dispose]();
    this.#tracked.clear();
    this.#hints[Symbol.dispose]();
    this.#waiters[Symbol.dispose]();
  }

  async #createOrAdopt(
    ref: AttemptRef,
    spec: AttemptSpec,
    beforeLaunch: (attempt: TrackedAttempt) => void = () => {},
  ): Promise<TrackedAttempt> {
    refuseUnsupported(planProcess(spec));
    const name = this.#nameOf(ref);
    const attempt = this.#track({ backend: this.#options.name, name, ref, folder: spec.folder });
    const isNew = onPlatform(`claim ${name}`, () => this.#claim(attempt, spec));
    onPlatform(`set up ${name}`, () => {
      makeControlFolder(attempt.controlFolder);
      beforeLaunch(attempt);
    });
    // Whoever else launches at this moment does no harm: the shims agree among themselves which one runs.
    if (isNew) await this.#launch(attempt, spec);
    else if (attempt.launching !== null) await attempt.launching;
    else if (this.#isMissing(attempt)) await this.#launch(attempt, spec);
    return attempt;
  }

  #sayGo({ controlFolder, handle }: TrackedAttempt): void {
    if (!this.#claims.link(handle.name, `${controlFolder}/${CTL.go}`)) sayGo(controlFolder);
  }

  /** Whether the claim is new; throws when the attempt exists with another spec. */
  #claim(attempt: TrackedAttempt, spec: AttemptSpec): boolean {
    const hash = specHash(spec);
    const { name, ref, folder } = attempt.handle;
    const wasKnown = attempt.specHash !== null;
    if (attempt.specHash === null) {
      const mine: Claim = {
        ref,
        folder,
        specHash: hash,
        argv0: spec.argv[0],
        createdAtMs: Date.now(),
        labels: spec.labels,
      };
      const claim = this.#claims.createOrRead(name, mine);
      attempt.specHash = claim.specHash;
      if (claim === mine) return true;
    }
    if (attempt.specHash === hash) return false;
    if (!wasKnown) this.#tracked.delete(name);
    const message = `Attempt ${ref.attempt} of ${ref.stepRun} exists with another spec; it was left alone.`;
    throw new BackendError("spec-conflict", fault("spec-conflict", message));
  }

  /** Whether nothing was ever started for the claim: its writer died in between. */
  #isMissing(attempt: TrackedAttempt): boolean {
    if (attempt.isChild || wasClaimed(attempt.controlFolder)) return false;
    return attempt.terminal === null && attempt.pid(findShims) === null;
  }

  async #launch(attempt: TrackedAttempt, spec: AttemptSpec): Promise<void> {
    const { name } = attempt.handle;
    try {
      await attempt.own(launchShim(this.#launcher, spec), () => this.#changed(name));
    } catch (error) {
      // Nothing was started, so nothing is left behind.
      this.#claims.remove(name);
      this.#tracked.delete(name);
      throw error;
    }
  }

  #observeOne(handle: Handle, shims: () => ReadonlyMap<string, number> = findShims): Observation {
    return this.#track(handle).observe(this.#sight(handle.name, shims));
  }

  #sight(name: string, shims: () => ReadonlyMap<string, number> = findShims): Sight {
    const claims = this.#claims;
    return {
      shims,
      get claim() {
        return claims.read(name);
      },
    };
  }

  #track(handle: Handle): TrackedAttempt {
    const tracked = this.#tracked.get(handle.name);
    if (tracked !== undefined) return tracked;
    const attempt = new TrackedAttempt(handle);
    this.#tracked.set(handle.name, attempt);
    return attempt;
  }

  #changed(name: string): void {
    this.#waiters.wake(name);
    this.#hints.tell(name);
  }

  /** No event tells the end of a process that is not a child of this one. */
  #lookAfterAdopted(): void {
    for (const { isAdopted, handle } of this.#tracked.values()) {
      if (isAdopted && this.#mayHaveEnded(handle)) this.#changed(handle.name);
    }
  }

  #mayHaveEnded(handle: Handle): boolean {
    try {
      return this.#observeOne(handle).state === "terminal";
    } catch {
      return true; // Whoever gets the hint looks again, and is told of the error.
    }
  }

  #nameOf(ref: AttemptRef): string {
    return objectName(this.#options.installation, ref);
  }
}

function refuseUnsupported(planned: PlanResult): void {
  if (planned.ok) return;
  const why = planned.unsupported.map(({ path, why: reason }) => `${path}: ${reason}`).join("; ");
  const message = `The process backend cannot run this step: ${why}.`;
  throw new BackendError("spec-unsupported", fault("spec-unsupported", message));
}

/** Looking at all processes is done when it is needed, and then once per call. */
function once<T>(compute: () => T): () => T {
  let result: { readonly value: T } | null = null;
  return () => {
    result ??= { value: compute() };
    return result.value;
  };
}
