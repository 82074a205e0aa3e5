import { join } from "node:path";
import type { Logger } from "pino";
import type { ExecutionBackend } from "../backends/execution-backend.ts";
import type { Assignment, WorkerCapabilities } from "../protocol/agent-api.ts";
import { BerthError } from "../protocol/errors.ts";
import { newId } from "../protocol/ids.ts";
import { BlobCache } from "../runtime/blob-cache.ts";
import { DiskWatch } from "../runtime/disk-watch.ts";
import { removeSecretFolder } from "../runtime/secret-folder.ts";
import { Permits } from "../std/permits.ts";
import type { TlsTrust } from "../std/tls-trust.ts";
import { AdoptedRoom, enterUnderWay } from "./adopted-room.ts";
import { AgentClient } from "./agent-client.ts";
import type { AgentContext } from "./agent-context.ts";
import { bootAgent } from "./boot.ts";
import { collectCapabilities, diskSpace } from "./capabilities.ts";
import { abandonedAttemptFolders, abandonedRunFolders, abandonedSecretFolders, releaseOrphans } from "./cleanup.ts";
import { type AgentConfig, agentConfig, stepDisk } from "./config.ts";
import { DiskGate, type DiskSpace } from "./disk-gate.ts";
import { FolderRemover } from "./folder-remover.ts";
import { HeartbeatLoop } from "./heartbeat-loop.ts";
import { HeldRuns } from "./held-runs.ts";
import { lockHome } from "./home-lock.ts";
import { type Identity, loadIdentity } from "./identity.ts";
import { ImageCare } from "./image-care.ts";
import { JournalSync } from "./journal-sync.ts";
import { OpenBackends } from "./open-backends.ts";
import { OPEN_POLICY, type WorkerPolicy } from "./policy/worker-policy.ts";
import { pollLoop } from "./poll-loop.ts";
import { announce, openJournal, openJournals } from "./recovery.ts";
import { RunDriver } from "./run-driver.ts";
import { listRunFolders } from "./run-folder.ts";
import { ImageScans } from "./scan/image-scans.ts";
import { spreadFolders } from "./spread-folders.ts";
import { StepSlots } from "./step-slots.ts";
import { Transfers } from "./transfers/transfers.ts";
import { UsageSampler } from "./usage-sampler.ts";
import { workerSize } from "./worker-room.ts";

export interface AgentOptions {
  /** The agent's folder: identity, journals, blob cache, attempt folders. */
  readonly home: string;
  /** In place of the address that the worker was registered at. */
  readonly server?: string;
  /** In place of what the worker was registered with, together with `server`. */
  readonly trust?: TlsTrust;
  /** In order of preference for runs that name none. */
  readonly backends: readonly ExecutionBackend[];
  readonly version: string;
  /** Folder with the step SDKs; default: the one of this checkout. */
  readonly sdk?: string;
  /** See config.ts; all optional. */
  readonly settings?: unknown;
  /** What steps may ask of this worker; default: whatever Berth's own defaults allow. */
  readonly policy?: WorkerPolicy;
  readonly log: Logger;
  /** Default: five seconds. */
  readonly heartbeatIntervalMs?: number;
  /** How often disk, backends and capabilities are looked at; default: half a minute. */
  readonly inspectIntervalMs?: number;
  /** Default: asks the file system. */
  readonly diskSpace?: DiskSpace;
}

export interface RunningAgent {
  readonly workerId: string;
  readonly name: string;
  /** Resolves when the server knows this process and runs can be taken. */
  readonly ready: Promise<void>;
  /** Resolves after `stop`; rejects when the agent cannot go on, such as when a newer boot took its place. */
  readonly closed: Promise<void>;
  /** Detaches: what runs goes on, and the next start takes it over. */
  stop(): Promise<void>;
}

const DEFAULT_SDK = join(import.meta.dirname, "../../sdk");

const INSPECT_INTERVAL_MS = 30_000;
/** Left-over objects and folders are looked for this often. */
const CLEANUP_INTERVAL_MS = 10 * 60_000;
/** Objects released at once, over all runs. */
const RELEASES_AT_ONCE = 4;
/** How long a stop waits for attempts that are just being cancelled; they are found again by the next start. */
const DETACH_TIMEOUT_MS = 5_000;

/** Starts an agent in a registered home. */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const identity = loadIdentity(options.home);
  if (identity === null) {
    throw new BerthError("unauthenticated", `${options.home} is not registered with a server`, {
      advice: "Register this worker first with `berth agent register`.",
    });
  }
  const agent = await Agent.open(options, identity);
  return agent;
}

/** One process of the agent: what it shares, its loops, and the drivers of its runs. */
class Agent implements RunningAgent {
  readonly ready: Promise<void>;
  readonly closed: Promise<void>;
  readonly #options: AgentOptions;
  readonly #identity: Identity;
  readonly #config: AgentConfig;
  readonly #log: Logger;
  readonly #bootId = newId("boot");
  readonly #server: string;
  readonly #trust: TlsTrust;
  readonly #backends: OpenBackends;
  readonly #disk: DiskGate;
  readonly #held = new HeldRuns();
  readonly #context: AgentContext;
  readonly #adopted: AdoptedRoom;
  readonly #drivers = new Set<RunDriver>();
  /** Leases that this process gave up: a late assignment of one of them is not taken again. */
  readonly #givenUp = new Set<string>();
  readonly #stopping = new AbortController();
  readonly #owned = new AsyncDisposableStack();
  readonly #end = Promise.withResolvers<void>();
  #heartbeat: HeartbeatLoop | null = null;
  #gpus: WorkerCapabilities["gpus"] = [];
  #draining = false;
  #stopped: Promise<void> | null = null;

  static async open(options: AgentOptions, identity: Identity): Promise<Agent> {
    const config = agentConfig(options.settings);
    const owned = new AsyncDisposableStack();
    try {
      owned.use(lockHome(options.home));
      await spreadFolders(options.home);
      const cache = await BlobCache.open({ folder: join(options.home, "cache"), budgetBytes: config.cacheBytesMax });
      return new Agent(options, identity, config, cache, owned);
    } catch (error) {
      await owned.disposeAsync();
      throw error;
    }
  }

  private constructor(
    options: AgentOptions,
    identity: Identity,
    config: AgentConfig,
    cache: BlobCache,
    owned: AsyncDisposableStack,
  ) {
    const { home, log, policy = OPEN_POLICY } = options;
    this.#options = options;
    this.#identity = identity;
    this.#config = config;
    this.#owned = owned;
    this.#log = log.child({ worker: identity.name });
    this.#server = options.server ?? identity.server;
    this.#backends = owned.use(
      new OpenBackends({ home, installation: identity.installation, backends: options.backends, config, log }),
    );
    this.#disk = new DiskGate({ home, config, measure: options.diskSpace ?? diskSpace, log: this.#log });
    const { workerId, privateKey } = identity;
    this.#trust = options.trust ?? identity.trust;
    const known = { server: this.#server, trust: this.#trust };
    const client = owned.use(new AgentClient({ ...known, workerId, bootId: this.#bootId, privateKey }));
    this.#context = {
      home,
      installation: identity.installation,
      sdk: options.sdk ?? DEFAULT_SDK,
      config,
      policy,
      scans: new ImageScans({ home, policy }),
      client,
      cache,
      backends: this.#backends.opened,
      held: this.#held,
      journals: owned.use(new JournalSync(this.#log)),
      stepSlots: new StepSlots(workerSize(config, config.gpus ?? [])),
      transfers: owned.use(
        new Transfers({ client, log, uploadsAtOnce: config.uploadsAtOnce, partsAtOnce: config.partsAtOnce }),
      ),
      sampler: owned.use(new UsageSampler(this.#log)),
      disk: owned.use(new DiskWatch({ ...stepDisk(config), log: this.#log })),
      releasePermits: new Permits(RELEASES_AT_ONCE),
      remover: new FolderRemover(),
      log: this.#log,
    };
    this.#adopted = new AdoptedRoom(this.#context.stepSlots, this.#log);
    this.closed = this.#end.promise;
    this.closed.catch(() => {});
    this.ready = this.#begin();
    this.ready.catch((error: unknown) => this.#fail(error));
  }

  get workerId(): string {
    return this.#identity.workerId;
  }

  get name(): string {
    return this.#identity.name;
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#detach().then(() => this.#end.resolve());
    return this.#stopped;
  }

  /** Takes over what earlier processes left, then starts the loops. */
  async #begin(): Promise<void> {
    const { signal } = this.#stopping;
    const journaled = await openJournals(this.#options.home);
    await Promise.all([this.#backends.refresh(), this.#disk.refresh()]);
    await this.#backends.waitFor(new Set(journaled.flatMap(({ history }) => history.backend ?? [])), signal);
    const capabilities = await this.#capabilities();
    const { client } = this.#context;
    const { leftOvers } = await announce(
      journaled,
      (held) =>
        bootAgent({
          boot: (request, abort) => client.boot(request, abort),
          bootId: this.#bootId,
          agentVersion: this.#options.version,
          capabilities,
          held,
          signal,
          log: this.#log,
        }),
      this.#log,
    );
    signal.throwIfAborted();
    await this.#adopted.refresh(this.#backends.opened);
    for (const { history } of leftOvers) enterUnderWay(this.#context.stepSlots, history, this.#backends.opened);
    for (const leftOver of leftOvers) this.#follow(RunDriver.resume(this.#context, leftOver));
    this.#startLoops();
    this.#log.info({ server: this.#server, bootId: this.#bootId, resumed: leftOvers.length }, "the agent is ready");
  }

  #startLoops(): void {
    const onFenced = (error: BerthError) => this.#fail(error);
    const { privateKey, workerId } = this.#identity;
    this.#heartbeat = this.#owned.use(
      new HeartbeatLoop({
        server: this.#server,
        trust: this.#trust,
        workerId,
        bootId: this.#bootId,
        privateKey,
        held: this.#held,
        ...(this.#options.heartbeatIntervalMs === undefined ? {} : { intervalMs: this.#options.heartbeatIntervalMs }),
        onDraining: (draining) => {
          this.#draining = draining;
        },
        onFenced,
        log: this.#log,
      }),
    );
    void pollLoop({
      poll: (request, signal) => this.#context.client.poll(request, signal),
      held: this.#held,
      freeSlots: () => this.#freeSlots(),
      accept: (assignment) => this.#accept(assignment),
      slotFreed: () => this.#slotFreed(),
      onFenced,
      signal: this.#stopping.signal,
      log: this.#log,
    });
    this.#every(this.#options.inspectIntervalMs ?? INSPECT_INTERVAL_MS, () => this.#inspect());
    this.#every(CLEANUP_INTERVAL_MS, () => this.#cleanUp());
    void this.#cleanUp();
  }

  #freeSlots(): number {
    if (this.#draining || !this.#disk.isOpen) return 0;
    return Math.max(0, this.#config.slots - this.#held.size);
  }

  #slotFreed(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = () => {
      if (this.#freeSlots() > 0 || this.#stopping.signal.aborted) resolve();
    };
    const listener = this.#held.onChange(check);
    const timer = setInterval(check, 1_000).unref();
    return promise.finally(() => {
      clearInterval(timer);
      listener[Symbol.dispose]();
    });
  }

  /** Takes a run, unless it is already held, or was given up, at this very epoch. */
  #accept(assignment: Assignment): void {
    const { run, epoch } = assignment;
    if (this.#givenUp.has(`${run}.${epoch}`)) return;
    const held = this.#held.get(run);
    if (held !== undefined && held.lease.epoch >= epoch) return;
    held?.fence(`the server granted epoch ${epoch}`);
    const before = [...this.#drivers].filter(({ lease }) => lease.run === run).map(({ ended }) => ended);
    this.#follow(
      RunDriver.take(
        this.#context,
        assignment,
        Promise.all(before).then(() => {}),
      ),
    );
    this.#log.info({ run, epoch, pipeline: assignment.plan.name, number: assignment.number }, "took a run");
  }

  #follow(driver: RunDriver): void {
    this.#drivers.add(driver);
    void driver.ended.then(() => {
      this.#drivers.delete(driver);
      this.#givenUp.add(`${driver.lease.run}.${driver.lease.epoch}`);
    });
  }

  async #inspect(): Promise<void> {
    await Promise.all([this.#backends.refresh(), this.#disk.refresh()]);
    await this.#adopted.refresh(this.#backends.opened);
    this.#heartbeat?.report(await this.#capabilities());
  }

  async #cleanUp(): Promise<void> {
    const { home } = this.#options;
    await this.#pruneImages();
    const live = () => [...this.#drivers].map(({ lease }) => lease);
    await releaseOrphans({ home, backends: this.#backends.opened, live: live(), nowMs: Date.now(), log: this.#log });
    for (const folder of abandonedSecretFolders(home, this.#config, live())) removeSecretFolder(folder);
    for (const folder of abandonedAttemptFolders(home, live())) await this.#context.remover.remove(folder);
    for (const folder of abandonedRunFolders(listRunFolders(home), live())) {
      const run = await openJournal(folder);
      if (run === null) continue;
      run.history.fenced = true;
      this.#follow(RunDriver.resume(this.#context, { ...run, ackedSeq: 0 }));
    }
  }

  async #pruneImages(): Promise<void> {
    const { home, config, backends, log } = this.#context;
    const healthy = [...backends].filter(([, backend]) => backend.healthy);
    const sessions = new Map(healthy.map(([name, { session }]) => [name, session]));
    try {
      await new ImageCare({ home, config, sessions, log }).prune(config.imageBytesMax);
    } catch (error) {
      log.warn({ err: error }, "images could not be looked after");
    }
  }

  async #capabilities(): Promise<WorkerCapabilities> {
    const backends = this.#backends.describe();
    const { freeBytes: diskFreeBytes, neededBytes: diskNeededBytes, totalBytes: diskTotalBytes } = this.#disk;
    const disk = { diskFreeBytes, diskNeededBytes, diskTotalBytes };
    const capabilities = await collectCapabilities({
      ...{ config: this.#config, ...disk, gpusBefore: this.#gpus, backends, cache: this.#context.cache.figures },
      policy: this.#context.policy.described,
    });
    this.#gpus = capabilities.gpus;
    const gpus = capabilities.gpus.map(({ id }) => id);
    this.#context.stepSlots.resize(workerSize(this.#config, gpus));
    return capabilities;
  }

  #every(intervalMs: number, work: () => Promise<void>): void {
    const timer = setInterval(() => {
      work().catch((error: unknown) => this.#log.warn({ err: error }, "a background task of the agent failed"));
    }, intervalMs);
    this.#stopping.signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  }

  /** This process may not speak for the worker any more, or cannot: what runs under its leases is stopped. */
  #fail(error: unknown): void {
    if (this.#stopped !== null) return;
    this.#log.error({ err: error }, "the agent cannot go on");
    for (const held of this.#held.all()) held.fence("this process of the agent may not go on");
    const drivers = Promise.all([...this.#drivers].map(({ ended }) => ended));
    this.#stopped = drivers.then(() => this.#close()).then(() => this.#end.reject(error));
  }

  async #detach(): Promise<void> {
    this.#stopping.abort(new Error("the agent stops"));
    // What is just being looked at, such as whether an engine can be used, may have made something that it removes again.
    const begun = this.ready.catch(() => {});
    const detached = begun.then(() => Promise.all([...this.#drivers].map((driver) => driver.detach())));
    const timeout = new Promise<void>((resolve) => setTimeout(resolve, DETACH_TIMEOUT_MS).unref());
    await Promise.race([detached, timeout]);
    await this.#close();
  }

  async #close(): Promise<void> {
    this.#stopping.abort(new Error("the agent stops"));
    await this.#owned.disposeAsync();
  }
}
