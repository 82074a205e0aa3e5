import { createHash } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { AttemptRef } from "../../src/backends/execution-backend.ts";
import { LEASE_DURATION_MS } from "../../src/protocol/agent-api.ts";
import { BerthError } from "../../src/protocol/errors.ts";
import type { AgentEvent } from "../../src/protocol/events.ts";
import type { Plan } from "../../src/protocol/plan.ts";
import { isTerminal, RUN_TRANSITIONS } from "../../src/protocol/states.ts";
import { OUTAGE_MS } from "../../src/server/scheduling/reap.ts";
import { Judge } from "./judge.ts";
import { epochOf, Ledger } from "./ledger.ts";
import { Machine } from "./machine.ts";
import { MemoryServer } from "./memory-server.ts";
import { FAIR, Network, Server } from "./network.ts";
import { planOf } from "./pipelines.ts";
import { type Scenario, scenarioOf, type Trouble } from "./scenario.ts";
import type { ServerApi } from "./server-api.ts";
import { scriptOf } from "./steps.ts";
import { tracingLog } from "./tracing-log.ts";
import { useNetwork } from "./world/agent-client.ts";
import { forgetFiles } from "./world/node-fs.ts";
import { Scheduler, SimulatedProcess, useScheduler } from "./world/virtual-time.ts";

/** After the last trouble everything has to come to its end within this. */
const QUIET_MAX_MS = 30 * 60_000;
/** Objects that no journal knows are removed after an hour, and looked for every ten minutes. */
const ORPHANS_MAX_MS = 75 * 60_000;
const ORPHANED_AFTER_MS = 61 * 60_000;
/** Of a simulation to wait for that. */
const WAITS_CHANCE = 0.02;
const TIDY_MAX_MS = 60_000;
const TIDY_LOOK_MS = 500;
const LOOK_EVERY_MS = 3_000;
/** Replicas; one is enough for agents to go on. */
const SERVERS = ["server-1", "server-2"];
const PASS_MIN_MS = 4_000;
const PASS_MAX_MS = 6_000;

export interface SimulationOptions {
  readonly seed: number;
  /** A folder for the homes of the machines; what is made in it is removed. */
  readonly folder: string;
  /** Default: the memory model. */
  readonly open?: (scenario: Scenario, scheduler: Scheduler) => Promise<ServerApi>;
  /** Every line of the trace, as it comes. */
  readonly onTrace?: (line: string) => void;
}

export interface SimulationResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly events: number;
  readonly virtualMs: number;
  /** Of everything that happened, in order. */
  readonly hash: string;
}

/** Simulates servers, agents, network and machines by one seed, and judges what came of it. */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const scheduler = new Scheduler(options.seed);
  useScheduler(scheduler);
  const world = new World(scheduler, options);
  const onRejection = (error: unknown) => world.judge.violate(`unhandled: ${(error as Error)?.stack ?? String(error)}`);
  process.on("unhandledRejection", onRejection);
  try {
    await world.run(options);
  } finally {
    process.off("unhandledRejection", onRejection);
    world.dispose();
    useNetwork(null);
    useScheduler(null);
    forgetFiles();
  }
  return world.result;
}

class World {
  readonly judge: Judge;
  readonly #scheduler: Scheduler;
  readonly #scenario: Scenario;
  readonly #options: SimulationOptions;
  readonly #hash = createHash("sha256");
  readonly #machines: Machine[];
  readonly #servers = SERVERS.map((name) => new Server(name));
  readonly #ledger = new Ledger();
  readonly #runs: string[] = [];
  readonly #plans = new Map<string, Plan>();
  #api!: ServerApi;
  #network!: Network;
  /** Submitted or not, by the scenario. */
  #submitted = 0;

  constructor(scheduler: Scheduler, options: SimulationOptions) {
    this.#scheduler = scheduler;
    this.#options = options;
    this.#scenario = scenarioOf(scheduler.random);
    const folder = join(options.folder, `seed-${options.seed}`);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const log = tracingLog((line) => options.onTrace?.(`${scheduler.nowMs}     ${line}`));
    const trace = (line: string) => this.#trace(line);
    this.#machines = this.#scenario.machines.map((size, index) => {
      const name = `worker-${index + 1}`;
      const script = scriptOf({
        ...{
          scheduler,
          ledger: this.#ledger,
          machine: name,
          trouble: this.#scenario.stepTrouble,
          maxMs: this.#scenario.stepMaxMs,
        },
        onEnd: (entry) => this.judge.ended(entry),
        onStart: ({ ref }) => {
          trace(`${name} runs ${ref.stepRun} #${ref.attempt} of ${ref.scope}`);
          this.judge.started(this.#ledger.entries.at(-1)!);
        },
      });
      const onForgotten = (ref: AttemptRef) => {
        for (const entry of this.#ledger.of({ ...ref, epoch: epochOf(ref.scope) }, ref.run)) entry.forgotten = true;
      };
      const { platformWayMaxMs } = this.#scenario;
      return new Machine({ ...size, platformWayMaxMs, onForgotten, name, scheduler, folder, script, log, trace });
    });
    this.judge = new Judge({
      scheduler,
      ledger: this.#ledger,
      machines: this.#machines,
      api: () => this.#api,
      plan: (run) => this.#plans.get(run)!,
    });
  }

  get result(): SimulationResult {
    const { events, nowMs } = this.#scheduler;
    const { seed } = this.#options;
    return {
      seed,
      violations: this.judge.violations,
      events,
      virtualMs: nowMs,
      hash: this.#hash.digest("hex").slice(0, 16),
    };
  }

  async run({ open = openMemory }: SimulationOptions): Promise<void> {
    const scheduler = this.#scheduler;
    const { quietAtMs, submissions, troubles } = this.#scenario;
    this.#api = await open(this.#scenario, scheduler);
    this.#network = this.#openNetwork();
    useNetwork(this.#network);
    for (const { workerId: id, name, slots } of this.#machines) await this.#api.addWorker({ id, name, slots });
    for (const server of this.#servers) this.#startServer(server);
    for (const machine of this.#machines) scheduler.schedule(scheduler.random.integer(0, 500), () => machine.start());
    for (const { atMs, pipeline } of submissions) this.#act(atMs, () => this.#submit(pipeline));
    for (const trouble of troubles) this.#act(trouble.atMs, () => this.#cause(trouble));
    this.#act(0, () => {
      this.#network.weather = this.#scenario.weather;
    });
    this.#act(quietAtMs, () => this.#heal());
    this.#lookAround();
    const isQuiet = () => scheduler.nowMs > quietAtMs && this.#isDone;
    const isOver = () => this.judge.violations.length > 0 || isQuiet();
    await scheduler.run(quietAtMs + QUIET_MAX_MS, isOver);
    if (!isOver()) this.judge.violate(`not every run has ended ${QUIET_MAX_MS} ms after the last trouble`);
    await this.#tidied(TIDY_MAX_MS);
    // What no journal knows of is old enough after an hour: mostly that hour is only in the clocks.
    if (!this.#isClean && !scheduler.random.chance(WAITS_CHANCE)) await this.#tidiedByRestart();
    if (!this.#isClean) await this.#tidied(ORPHANS_MAX_MS);
    await this.judge.final(this.#runs);
  }

  get #isClean(): boolean {
    return this.judge.violations.length > 0 || this.#machines.every((machine) => machine.leftOvers().length === 0);
  }

  async #tidied(maxMs: number): Promise<void> {
    const scheduler = this.#scheduler;
    const untilMs = scheduler.nowMs + maxMs;
    while (!this.#isClean && scheduler.nowMs < untilMs)
      await scheduler.run(Math.min(untilMs, scheduler.nowMs + TIDY_LOOK_MS), () => false);
  }

  async #tidiedByRestart(): Promise<void> {
    this.#trace("an hour later agents are started again");
    for (const machine of this.#machines) {
      machine.kill();
      machine.clock.skewMs += ORPHANED_AFTER_MS;
      machine.start();
    }
    await this.#tidied(TIDY_MAX_MS);
  }

  dispose(): void {
    for (const server of this.#servers) server.process?.kill();
    for (const machine of this.#machines) machine[Symbol.dispose]();
    rmSync(join(this.#options.folder, `seed-${this.#options.seed}`), { recursive: true, force: true });
  }

  #isDone = false;
  /** Of any server, by itself. */
  #passedAtMs = 0;
  /** When the servers came back from their last outage. */
  #backAtMs = Number.NEGATIVE_INFINITY;

  /** Runs are named by their order, so that a story reads the same whatever their ids are. */
  #trace(line: string): void {
    const named = line.replace(/run_[0-9a-z]{26}/g, (run) => `run-${this.#runs.indexOf(run) + 1}`);
    const full = `${this.#scheduler.nowMs} ${named}`;
    this.#hash.update(full).update("\n");
    this.#options.onTrace?.(full);
  }

  /** Something that the world does by itself. */
  #act(atMs: number, act: () => void | Promise<void>): void {
    this.#scheduler.schedule(atMs - this.#scheduler.nowMs, () => void this.#watched(async () => act()), "outside");
  }

  /** The world itself makes no mistakes: what goes wrong here is a defect of what is simulated, or of the simulation. */
  #watched(work: () => Promise<void>): Promise<void> {
    const watched = work().catch((error: Error) => this.judge.violate(`the world failed: ${error.stack}`));
    return this.#scheduler.outside(watched);
  }

  #openNetwork(): Network {
    return new Network({
      scheduler: this.#scheduler,
      api: this.#api,
      servers: this.#servers,
      links: new Map(this.#machines.map(({ name, link }) => [name, link])),
      trace: (line) => this.#trace(line),
      onServed: ({ poller, method, args }, answer) => {
        const { worker } = poller;
        if (method === "poll")
          for (const { run, epoch } of (answer as { assignments: { run: string; epoch: number }[] }).assignments)
            this.judge.granted(run, epoch, worker);
        const [run, body] = args as [string, { epoch: number; events: AgentEvent[] } | number];
        const epoch = typeof body === "number" ? body : body?.epoch;
        if (["events", "missingBlobs", "putBlob", "getBlob", "findCached"].includes(method))
          this.judge.wrote(method, { run, epoch, worker });
        if (method === "events") this.judge.reported(run, (body as { events: AgentEvent[] }).events);
        if (method === "heartbeat")
          for (const lease of (answer as { extended: { run: string; epoch: number }[] }).extended)
            this.judge.wrote("a heartbeat", { ...lease, worker });
      },
      onRefused: ({ method }, error) => this.judge.refused(method, error),
      onSent: ({ from, method, args }) => {
        const [{ held }] = args as [{ held: { run: string; epoch: number }[] }];
        if (method !== "heartbeat" && method !== "poll") return;
        this.judge.claimed(this.#machines.find(({ process }) => process === from)!, held);
      },
      onHeard: ({ from, method, args }, answer) => {
        const machine = this.#machines.find(({ process }) => process === from)!;
        if (method === "boot" && !(answer instanceof BerthError)) machine.answeredAtMs ??= this.#scheduler.nowMs;
        if (answer instanceof BerthError) {
          const [run, body] = args as [string, { epoch: number } | number];
          const epoch = typeof body === "number" ? body : body?.epoch;
          if (answer.code === "stale_epoch" && epoch !== undefined) this.judge.lost(machine, { run, epoch });
          if (answer.code === "stale_boot") this.judge.replaced(machine);
        } else if (["heartbeat", "poll", "boot"].includes(method)) {
          for (const lease of (answer as { lost: { run: string; epoch: number }[] }).lost)
            this.judge.lost(machine, lease);
        }
      },
    });
  }

  #startServer(server: Server): void {
    if (server.process !== null) return;
    const serving = new SimulatedProcess(server.name, { skewMs: 0, bootedAtMs: 0 });
    server.process = serving;
    this.#trace(`${server.name} starts`);
    const pass = () => {
      const { random } = this.#scheduler;
      if (this.#network.storeIsUp) void this.#watched(() => this.#pass()).then(() => this.#network.wake());
      this.#scheduler.schedule(random.integer(PASS_MIN_MS, PASS_MAX_MS), pass, serving);
    };
    this.#scheduler.schedule(this.#scheduler.random.integer(0, PASS_MAX_MS), pass, serving);
  }

  /** Whoever could not renew a lease because the servers were away keeps it for as long as one lasts. */
  async #pass(): Promise<void> {
    const { nowMs } = this.#scheduler;
    if (nowMs - this.#passedAtMs > OUTAGE_MS) this.#backAtMs = nowMs;
    this.#passedAtMs = nowMs;
    const leases = () => Promise.all(this.#runs.map((run) => this.#api.lease(run)));
    const mustKeep = nowMs - this.#backAtMs < LEASE_DURATION_MS;
    const before = mustKeep ? await leases() : [];
    await this.#api.pass();
    const after = mustKeep ? await leases() : [];
    for (const [index, { worker, epoch }] of before.entries())
      if (worker !== null && after[index]!.worker === null)
        this.judge.violate(`epoch ${epoch} of run ${index + 1} was given up right after an outage of the servers`);
  }

  async #submit(pipeline: string): Promise<void> {
    this.#submitted += 1;
    const run = await this.#api.submit(pipeline);
    this.#plans.set(run, planOf(pipeline));
    this.#runs.push(run);
    this.#trace(`submitted ${run}`);
    this.#network.wake();
  }

  async #cause({ kind, forMs }: Trouble): Promise<void> {
    const { random } = this.#scheduler;
    const machine = random.pick(this.#machines);
    const server = random.pick(this.#servers);
    const until = (end: () => void | Promise<void>) => this.#act(this.#scheduler.nowMs + forMs, end);
    this.#trace(`trouble: ${kind} for ${forMs} ms, at ${machine.name} or ${server.name}`);
    switch (kind) {
      case "kill-agent":
        machine.kill();
        return until(() => machine.start());
      case "stop-agent":
        machine.stop();
        return until(() => machine.start());
      case "power-cut":
        machine.cutPower();
        return until(() => machine.start());
      case "partition":
        Object.assign(machine.link, { up: false, down: false });
        return until(() => void Object.assign(machine.link, { up: true, down: true }));
      case "half-open": {
        const direction = random.pick(["up", "down"] as const);
        machine.link[direction] = false;
        return until(() => {
          machine.link[direction] = true;
        });
      }
      case "kill-server":
        server.crash();
        return until(() => this.#startServer(server));
      case "outage":
        for (const one of this.#servers) one.crash();
        return until(() => {
          for (const one of this.#servers) this.#startServer(one);
        });
      case "store-outage":
        this.#network.storeIsUp = false;
        return until(() => {
          this.#network.storeIsUp = true;
        });
      case "platform-outage":
        machine.platform.up = false;
        return until(() => {
          machine.platform.up = true;
        });
      case "vanish": {
        const running = [...machine.backend.attempts.values()].filter(({ state }) => state === "running");
        if (running.length > 0) random.pick(running).vanish();
        return;
      }
      case "cancel": {
        if (this.#runs.length === 0) return;
        await this.#api.cancel(random.pick(this.#runs), { by: "somebody", reason: null, code: "cancelled" });
        return this.#network.wake();
      }
      case "drain":
        await this.#api.drain(machine.workerId, true);
        return until(() => this.#api.drain(machine.workerId, false));
      case "old-boot":
        return this.#network.repeatFirstBoot(machine.name);
      case "clock":
        machine.clock.skewMs = random.integer(-7_200_000, 7_200_000);
        return;
    }
  }

  /** Everything is repaired. */
  async #heal(): Promise<void> {
    this.#trace("quiet from here on");
    this.#network.weather = FAIR;
    this.#network.storeIsUp = true;
    for (const server of this.#servers) this.#startServer(server);
    for (const machine of this.#machines) {
      Object.assign(machine.link, { up: true, down: true });
      machine.platform.up = true;
      machine.clock.skewMs = 0;
      machine.start();
      await this.#api.drain(machine.workerId, false);
    }
  }

  #lookAround(): void {
    this.#act(this.#scheduler.nowMs + LOOK_EVERY_MS, async () => {
      let open = this.#scenario.submissions.length - this.#submitted;
      for (const run of this.#runs) if (!isTerminal(RUN_TRANSITIONS, (await this.judge.look(run)).state)) open += 1;
      this.#isDone = open === 0;
      this.#lookAround();
    });
  }
}

async function openMemory({ recoveryAfterMs }: Scenario, scheduler: Scheduler): Promise<ServerApi> {
  return new MemoryServer({ now: () => scheduler.nowMs, recoveryAfterMs });
}
