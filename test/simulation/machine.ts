import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import { type RunningAgent, startAgent } from "../../src/agent/agent.ts";
import { ensurePrivateKey, saveIdentity } from "../../src/agent/identity.ts";
import type { AttemptRef } from "../../src/backends/execution-backend.ts";
import { MemoryBackend } from "../../src/backends/memory/memory-backend.ts";
import type { Script } from "../../src/backends/memory/script.ts";
import { newId } from "../../src/protocol/ids.ts";
import type { Link } from "./network.ts";
import { type PlatformState, slowBackend } from "./slow-backend.ts";
import { loseUnsynced } from "./world/node-fs.ts";
import { runIn, type Scheduler, SimulatedProcess } from "./world/virtual-time.ts";

/** Up this long when a simulation begins. */
const UP_BEFORE_MS = 3_600_000;
/** A supervisor starts an agent again that ended by itself. */
const RESTART_AFTER_MS = 2_000;

export interface MachineOptions {
  readonly name: string;
  readonly slots: number;
  readonly stepsAtOnce: number;
  readonly platformWayMaxMs: number;
  readonly scheduler: Scheduler;
  /** Under which its home is made. */
  readonly folder: string;
  readonly script: Script;
  readonly log: Logger;
  /** A power cut took what the platform knew of an attempt that had ended. */
  onForgotten(ref: AttemptRef): void;
  trace(line: string): void;
}

/** A machine with an agent that comes and goes, and a platform whose containers outlive it. */
export class Machine {
  readonly name: string;
  readonly workerId = newId("worker");
  readonly home: string;
  readonly link: Link = { up: true, down: true };
  readonly platform: PlatformState;
  /** When the process of its agent was first answered; null before. */
  answeredAtMs: number | null = null;
  readonly clock = { skewMs: 0, bootedAtMs: -UP_BEFORE_MS };
  readonly backend: MemoryBackend;
  readonly #options: MachineOptions;
  #process: SimulatedProcess | null = null;
  #agent: RunningAgent | null = null;

  constructor(options: MachineOptions) {
    const { scheduler } = options;
    this.#options = options;
    this.name = options.name;
    this.home = join(options.folder, options.name);
    this.platform = {
      ...{ up: true, wayMaxMs: options.platformWayMaxMs },
      ...{ refusedAtMs: Number.NEGATIVE_INFINITY, lostMoments: false },
    };
    this.backend = new MemoryBackend({
      fallback: options.script,
      clock: {
        now: () => Date.now(),
        after: (ms, act) => {
          scheduler.schedule(ms, act, "outside");
        },
      },
    });
    mkdirSync(this.home, { recursive: true });
    const identity = { server: "http://simulation", workerId: this.workerId, name: this.name, installation: "sim" };
    copyFileSync(keyFile(options.folder), join(this.home, "key"));
    saveIdentity(this.home, { ...identity, project: "default", pool: "default", labels: [], trust: {} });
  }

  get isUp(): boolean {
    return this.#process !== null;
  }

  get process(): SimulatedProcess | null {
    return this.#process;
  }

  get slots(): number {
    return this.#options.slots;
  }

  start(): void {
    if (this.#process !== null) return;
    const { slots, stepsAtOnce, log, scheduler, trace } = this.#options;
    const process = new SimulatedProcess(this.name, this.clock);
    this.#process = process;
    trace(`${this.name} starts its agent`);
    runIn(process, () => {
      const settings = { slots, stepsAtOnce, diskFreeMinBytes: 0, graceMs: 2_000 };
      const options = { home: this.home, backends: [slowBackend(this.backend, this.platform)], version: "1", log };
      const diskSpace = async () => ({ freeBytes: 2 ** 40, totalBytes: 2 ** 41 });
      void startAgent({ ...options, settings, diskSpace, inspectIntervalMs: 60_000 }).then((agent) => {
        this.#agent = agent;
        // A supervisor starts again what ends by itself.
        agent.closed.catch((error: Error) => {
          trace(`${this.name}'s agent ended: ${error.message}`);
          if (this.#process === process) this.#gone();
          scheduler.schedule(RESTART_AFTER_MS, () => this.start(), "outside");
        });
      });
    });
  }

  /** kill -9: containers go on, the journal is as the agent left it. */
  kill(): void {
    if (this.#process === null) return;
    this.#options.trace(`${this.name} loses its agent`);
    this.backend.killSessions();
    this.#gone();
  }

  /** The agent is told to stop, and lets go of what runs. */
  stop(): void {
    const [agent, process] = [this.#agent, this.#process];
    if (agent === null || process === null) {
      this.kill();
      return;
    }
    this.#options.trace(`${this.name} stops its agent`);
    void runIn(process, () => agent.stop()).then(() => {
      if (this.#process === process) this.#gone();
    });
  }

  /**
   * Containers are gone with everything else that ran, and so is what of the journals was not synced, and some of what
   * the platform had written down last.
   */
  cutPower(): void {
    const { scheduler, trace } = this.#options;
    trace(`${this.name} loses power`);
    this.kill();
    for (const [name, attempt] of [...this.backend.attempts]) {
      if (attempt.state !== "terminal") attempt.vanish();
      else if (scheduler.random.chance(0.5)) {
        this.backend.attempts.delete(name);
        this.#options.onForgotten(attempt.ref);
      }
    }
    const runs = join(this.home, "runs");
    for (const run of listFolder(runs)) loseUnsynced(join(runs, run, "journal.jsonl"));
    this.clock.bootedAtMs = scheduler.nowMs;
    this.platform.lostMoments = true;
  }

  /** What runs of this machine left on it. */
  leftOvers(): string[] {
    const folders = ["runs", "attempts"].flatMap((part) =>
      listFolder(join(this.home, part)).map((name) => `${part}/${name}`),
    );
    return [
      ...folders,
      ...[...this.backend.attempts.values()].map(({ ref }) => `object of ${ref.stepRun} ${ref.scope}`),
    ];
  }

  [Symbol.dispose](): void {
    this.#gone();
    rmSync(this.home, { recursive: true, force: true });
  }

  #gone(): void {
    this.#process?.kill();
    this.#process = null;
    this.#agent = null;
    this.answeredAtMs = null;
  }
}

/** One key for all machines, since nothing is signed; making one takes longer than most of what is simulated. */
function keyFile(folder: string): string {
  const home = join(folder, "../keys");
  if (!existsSync(join(home, "key"))) ensurePrivateKey(home);
  return join(home, "key");
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
