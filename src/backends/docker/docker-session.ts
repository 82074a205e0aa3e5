import { join } from "node:path";
import { fault } from "../../protocol/faults.ts";
import { readCancel, wasToldToGo, writeCancel } from "../../shim/control-folder.ts";
import { readLog } from "../../shim/read-log.ts";
import { readRecord } from "../../shim/read-record.ts";
import type { TreeSize } from "../../std/tree-size.ts";
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
  type Terminal,
} from "../execution-backend.ts";
import type { ImageRequest, ImageResult } from "../image-request.ts";
import { objectName } from "../object-name.ts";
import { AttemptNotes } from "./attempt-notes.ts";
import { Attempts } from "./attempts.ts";
import type { Builder } from "./build-image.ts";
import type { GpuAccess } from "./container-config.ts";
import { ContainerFigures } from "./container-figures.ts";
import { EndWatches } from "./end-watches.ts";
import type { Engine } from "./engine.ts";
import { isStatus, toBackendError } from "./engine-error.ts";
import { followEvents } from "./engine-events.ts";
import { EngineHost } from "./engine-host.ts";
import { EngineImages } from "./engine-images.ts";
import { enterContainer } from "./enter-container.ts";
import { IS_ATTEMPT, ofInstallation, readAttemptLabels, toHandle } from "./labels.ts";
import { LayerSizes } from "./layer-sizes.ts";
import { Observer } from "./observer.ts";
import { planForDocker } from "./plan.ts";
import { removeContainer } from "./remove-container.ts";
import { Turns } from "./turns.ts";

/** Beyond the grace, after which the shim itself kills: only a shim that cannot is killed from outside. */
const KILL_AFTER_GRACE_MS = 5_000;

export interface DockerSessionOptions {
  readonly name: string;
  readonly installation: string;
  readonly stateFolder: string;
  readonly engine: Engine;
  /** The engine's address, for people. */
  readonly address: string;
  readonly capacity?: BackendOptions["capacity"];
  /** Default: `devices`. */
  readonly gpuAccess?: GpuAccess;
  /** Default: BuildKit, where the engine has it. */
  readonly builder?: Builder | undefined;
}

/** Attempts as containers of one engine on the agent's own host. All that must outlive the agent is in files. */
export class DockerSession implements BackendSession {
  readonly keptImages: EngineImages;
  readonly #options: DockerSessionOptions;
  readonly #host: EngineHost;
  readonly #notes: AttemptNotes;
  readonly #attempts: Attempts;
  readonly #observer: Observer;
  readonly #figures: ContainerFigures;
  readonly #layers: LayerSizes;
  readonly #turns = new Turns();
  readonly #listeners = new Set<(name: string) => void>();
  readonly #watches = new EndWatches((name) => this.#hint(name));
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #closing = new AbortController();
  #following = false;

  constructor(options: DockerSessionOptions) {
    const { installation, stateFolder, gpuAccess = "devices" } = options;
    this.#options = options;
    this.#notes = new AttemptNotes(stateFolder);
    this.#host = new EngineHost(options);
    const notes = this.#notes;
    const networks = () => {
      this.#follow(); // Only the engine's events tell that a holder died.
      return this.#host.networks();
    };
    this.#attempts = new Attempts({ installation, notes, gpuAccess, platform: () => this.#host.platform(), networks });
    const engine = async () => (await this.#host.platform()).engine;
    this.#observer = new Observer({ installation, notes, engine });
    this.#figures = new ContainerFigures(engine);
    this.#layers = new LayerSizes(engine);
    this.keptImages = new EngineImages(engine, this.#host.imageNotes);
  }

  probe(signal?: AbortSignal): Promise<Probe> {
    return this.#host.probe(signal);
  }

  plan(spec: AttemptSpec): PlanResult {
    return planForDocker(spec, this.#host.limits());
  }

  async prepareImage(
    request: ImageRequest,
    onLog: (chunk: Uint8Array) => void,
    signal: AbortSignal,
  ): Promise<ImageResult> {
    const what = request.kind === "build" ? `build the image ${request.tag}` : `get the image ${request.image}`;
    return this.#trying(what, async () => (await this.#host.images()).prepare(request, onLog, signal), signal);
  }

  async prepare(ref: AttemptRef, spec: AttemptSpec): Promise<void> {
    await this.#carryOut(ref, spec, false);
  }

  submit(ref: AttemptRef, spec: AttemptSpec): Promise<Handle> {
    return this.#carryOut(ref, spec, true);
  }

  async attach(ref: AttemptRef): Promise<Handle | null> {
    const name = this.#nameOf(ref);
    const { handle, observation } = await this.#trying(`look for ${name}`, () => this.#find(name));
    if (handle === null || observation === null) return null;
    if (observation.state !== "terminal") this.#watches.add(name, controlFolder(handle));
    return handle;
  }

  observe(handles: readonly Handle[]): Promise<Map<string, Observation | BackendError>> {
    return this.#observer.observe(handles);
  }

  watch(onHint: (name: string) => void): Disposable {
    this.#follow();
    const listener = (name: string) => onHint(name);
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  logs(handle: Handle, stream: "stdout" | "stderr", options: LogOptions): AsyncIterable<Uint8Array> {
    const ended = async () => {
      const observation = (await this.observe([handle])).get(handle.name);
      return observation !== undefined && "state" in observation && observation.state === "terminal";
    };
    return readLog(controlFolder(handle), stream, { ...options, ended });
  }

  async cancel(handle: Handle, { graceMs, reason }: CancelOptions): Promise<"requested" | "already-terminal"> {
    const ctl = controlFolder(handle);
    // An attempt that was never submitted is lost to an observer, but not over: the intent waits for its submit.
    const isKnown = this.#notes.read(handle.name) !== null || wasToldToGo(ctl);
    const observation = isKnown ? (await this.observe([handle])).get(handle.name) : undefined;
    if (observation !== undefined && "state" in observation && observation.state === "terminal") {
      const isCancelled = observation.userCode === "never" && readCancel(ctl) !== null && readRecord(ctl) === null;
      return isCancelled ? "requested" : "already-terminal";
    }
    await this.#trying(`cancel ${handle.name}`, async () => writeCancel(ctl, { graceMs, reason }));
    await this.#nudge(handle);
    this.#killLater(handle, graceMs + KILL_AFTER_GRACE_MS);
    return "requested";
  }

  async stats(handles: readonly Handle[]): Promise<Map<string, Stats>> {
    return this.#trying("read statistics", () => this.#figures.read(handles));
  }

  layerUse(handle: Handle, most: TreeSize): Promise<TreeSize | null> {
    return this.#trying(`measure the layer of ${handle.name}`, () => this.#layers.measure(handle.name, most));
  }

  release(handle: Handle, { force = false }: { readonly force?: boolean } = {}): Promise<void> {
    return this.#turns.take(handle.name, async () => {
      if (!force) await this.#refuseRunning(handle);
      await this.#trying(`remove the container of ${handle.name}`, async () => {
        await removeContainer((await this.#host.platform()).engine, handle.name);
        this.#notes.remove(handle.name);
      });
      this.#attempts.forget(handle.name);
      this.#figures.forget(handle.name);
      this.#layers.forget(handle.name);
      this.#watches.remove(handle.name);
    });
  }

  async releaseScope(scope: string): Promise<void> {
    await this.#trying(`remove the network of ${scope}`, async () => (await this.#host.networks()).remove(scope));
  }

  async enter(ref: AttemptRef, spec: AttemptSpec, terminal: Terminal, signal: AbortSignal): Promise<number> {
    refuseUnsupported(this.plan(spec));
    const handle = this.#handle(this.#nameOf(ref), { ref, folder: spec.folder });
    return this.#trying(`enter the container of ${ref.stepRun}`, async () => {
      const { installation, gpuAccess = "devices" } = this.#options;
      const platform = await this.#host.platform();
      const networks = () => this.#host.networks();
      return enterContainer({ installation, platform, gpuAccess, networks, handle, ref, spec, terminal }, signal);
    });
  }

  async *list(): AsyncGenerator<OwnedAttempt> {
    yield* await this.#trying("list the containers", async () => {
      const { engine } = await this.#host.platform();
      const listed = await engine.listContainers([ofInstallation(this.#options.installation), IS_ATTEMPT]);
      const owned = new Map<string, OwnedAttempt>();
      for (const { Names, Labels, State, Created } of listed) {
        const name = Names[0]!.slice(1);
        const labels = readAttemptLabels(Labels);
        if (labels === null) continue;
        // Its container may live a few milliseconds longer than the attempt.
        const running = (State === "running" || State === "paused") && readRecord(join(labels.folder, "ctl")) === null;
        owned.set(name, { handle: this.#handle(name, labels), createdAtMs: Created * 1000, running, labels: Labels });
      }
      // Attempts whose container was deleted by others are still to be released.
      for (const name of this.#notes.names()) {
        const note = this.#notes.read(name);
        if (note === null || owned.has(name)) continue;
        owned.set(name, {
          handle: this.#handle(name, note),
          createdAtMs: note.createdAtMs,
          running: false,
          labels: {},
        });
      }
      return owned.values();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#listeners.clear();
    this.#watches[Symbol.dispose]();
    this.#options.engine[Symbol.dispose]();
  }

  #carryOut(ref: AttemptRef, spec: AttemptSpec, go: boolean): Promise<Handle> {
    const handle = this.#handle(this.#nameOf(ref), { ref, folder: spec.folder });
    return this.#turns.take(handle.name, async () => {
      refuseUnsupported(this.plan(spec));
      const verb = go ? "start" : "prepare";
      await this.#trying(`${verb} the container of ${ref.stepRun}`, () =>
        this.#attempts.carryOut({ handle, ref, spec, go }),
      );
      this.#watches.add(handle.name, controlFolder(handle));
      // It may have ended before it was watched.
      if (go && readRecord(controlFolder(handle)) !== null) queueMicrotask(() => this.#hint(handle.name));
      return handle;
    });
  }

  /** An attempt by its note or by its container's labels; without an observation where it does not exist. */
  async #find(name: string): Promise<{ handle: Handle | null; observation: Observation | null }> {
    const note = this.#notes.read(name);
    const known = note ?? (await this.#labelsOf(name));
    if (known === null) return { handle: null, observation: null };
    const handle = this.#handle(name, known);
    const observation = (await this.observe([handle])).get(name)!;
    if (!("state" in observation)) throw observation;
    // A note that was left before anything was created is not an attempt.
    const isNothing =
      observation.state === "terminal" &&
      observation.userCode === "never" &&
      !wasToldToGo(controlFolder(handle)) &&
      readRecord(controlFolder(handle)) === null &&
      (await this.#labelsOf(name)) === null;
    return { handle, observation: isNothing ? null : observation };
  }

  async #labelsOf(name: string) {
    const { engine } = await this.#host.platform();
    const container = await engine.inspectContainer(name).catch(ignoreMissing);
    return container === undefined ? null : readAttemptLabels(container.Config.Labels);
  }

  async #refuseRunning(handle: Handle): Promise<void> {
    const observation = (await this.observe([handle])).get(handle.name)!;
    if (!("state" in observation)) throw observation;
    if (observation.state !== "running" && observation.state !== "starting") return;
    const message = `The attempt ${handle.name} still runs; cancel it first, or release it with force.`;
    throw new BackendError("still-running", fault("agent-error", message));
  }

  /** Makes the shim look at the intent at once; without it, it looks within half a second. */
  async #nudge({ name }: Handle): Promise<void> {
    try {
      await (await this.#host.platform()).engine.killContainer(name, "SIGTERM");
    } catch {
      // Not running, or an engine that is away: the intent is written, and that is what counts.
    }
  }

  #killLater(handle: Handle, delayMs: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (readRecord(controlFolder(handle)) === null) void this.#kill(handle);
    }, delayMs).unref();
    this.#timers.add(timer);
  }

  async #kill({ name }: Handle): Promise<void> {
    try {
      await (await this.#host.platform()).engine.killContainer(name, "SIGKILL");
    } catch {
      // It ended, or the engine is away: whoever waits for the end observes, and may cancel again.
    }
  }

  #follow(): void {
    if (this.#following) return;
    this.#following = true;
    const handlers = {
      onEnd: (name: string) => {
        void this.#host.networks().then(
          (networks) => networks.forget(name),
          () => {},
        );
        this.#hint(name);
      },
      onGap: () =>
        void this.#host.networks().then(
          (networks) => networks.forgetAll(),
          () => {},
        ),
    };
    const engine = async () => (await this.#host.platform()).engine;
    void followEvents(engine, ofInstallation(this.#options.installation), handlers, this.#closing.signal);
  }

  #hint(name: string): void {
    for (const listener of this.#listeners) listener(name);
  }

  async #trying<T>(attempted: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw toBackendError(error, attempted);
    }
  }

  #handle(name: string, attempt: { readonly ref: AttemptRef; readonly folder: string }): Handle {
    return toHandle(this.#options.name, name, attempt);
  }

  #nameOf(ref: AttemptRef): string {
    return objectName(this.#options.installation, ref);
  }
}

function controlFolder({ folder }: Handle): string {
  return join(folder, "ctl");
}

function ignoreMissing(error: unknown): undefined {
  if (isStatus(error, 404)) return undefined;
  throw error;
}

function refuseUnsupported(plan: PlanResult): void {
  if (plan.ok) return;
  const reasons = plan.unsupported.map(({ path, why }) => `${path}: ${why}`).join("; ");
  throw new BackendError("spec-unsupported", fault("spec-unsupported", `Docker cannot run this step: ${reasons}`));
}
