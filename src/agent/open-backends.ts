import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { BackendSession, Capabilities, ExecutionBackend, Probe } from "../backends/execution-backend.ts";
import type { OpenBackend } from "./agent-context.ts";
import type { AgentConfig } from "./config.ts";

const PROBE_TIMEOUT_MS = 5_000;
/** Between tries to open a backend on which runs of an earlier process are waiting. */
const RETRY_INTERVAL_MS = 3_000;

export interface OpenBackendsOptions {
  readonly home: string;
  readonly installation: string;
  /** In order of preference. */
  readonly backends: readonly ExecutionBackend[];
  readonly config: AgentConfig;
  readonly log: Logger;
}

interface Mutable extends OpenBackend {
  capabilities: Capabilities;
  healthy: boolean;
  facts: Probe["facts"];
}

/** The backends of this worker: opened, and probed again from time to time. */
export class OpenBackends implements AsyncDisposable {
  readonly opened = new Map<string, Mutable>();
  readonly #options: OpenBackendsOptions;

  constructor(options: OpenBackendsOptions) {
    this.#options = options;
  }

  /** Opens what can be opened, and probes everything. */
  async refresh(): Promise<void> {
    await Promise.all(this.#options.backends.map((backend) => this.#refreshOne(backend)));
    // Whichever answered first: the map keeps the order of preference.
    const found = new Map(this.opened);
    this.opened.clear();
    for (const { name } of this.#options.backends) if (found.has(name)) this.opened.set(name, found.get(name)!);
  }

  /** Waits until these are open: runs of an earlier process have objects there. */
  async waitFor(names: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    for (;;) {
      const absent = [...names].filter(
        (name) => !this.opened.has(name) && this.#options.backends.some((one) => one.name === name),
      );
      if (absent.length === 0) return;
      this.#options.log.warn({ backends: absent }, "waiting for backends on which runs are under way");
      await sleep(RETRY_INTERVAL_MS, undefined, { signal });
      await this.refresh();
    }
  }

  /** Healthy ones by name, with what each probe said: for the server. */
  describe(): Record<string, Record<string, unknown>> {
    const healthy = [...this.opened].filter(([, backend]) => backend.healthy);
    return Object.fromEntries(healthy.map(([name, { facts, capabilities }]) => [name, { ...facts, capabilities }]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.opened.values()].map(({ session }) => session[Symbol.asyncDispose]()));
  }

  async #refreshOne(backend: ExecutionBackend): Promise<void> {
    const { log } = this.#options;
    const known = this.opened.get(backend.name);
    try {
      const session = known?.session ?? (await this.#open(backend));
      const probe = await session.probe(AbortSignal.timeout(PROBE_TIMEOUT_MS));
      if (known?.healthy !== probe.healthy) {
        log.info({ backend: backend.name, healthy: probe.healthy, reason: probe.reason }, "backend probed");
      }
      const { capabilities, healthy, facts } = probe;
      if (known === undefined) this.opened.set(backend.name, { session, capabilities, healthy, facts });
      else Object.assign(known, { capabilities, healthy, facts });
    } catch (error) {
      if (known?.healthy !== false) log.warn({ err: error, backend: backend.name }, "backend is not available");
      if (known !== undefined) known.healthy = false;
    }
  }

  async #open(backend: ExecutionBackend): Promise<BackendSession> {
    const { home, installation, config } = this.#options;
    const stateFolder = join(home, "backends", backend.name);
    mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
    const { cpus, memoryBytes } = config;
    const settings = config.backends[backend.name] ?? {};
    return backend.open({ installation, stateFolder, settings, capacity: { cpus, memoryBytes } });
  }
}
