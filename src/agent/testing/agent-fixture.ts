import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Logger, pino } from "pino";
import type { ExecutionBackend } from "../../backends/execution-backend.ts";
import { compilePipeline } from "../../pipeline/compile.ts";
import type { Assignment } from "../../protocol/agent-api.ts";
import { newId } from "../../protocol/ids.ts";
import type { Params } from "../../protocol/plan.ts";
import { type AgentOptions, type RunningAgent, startAgent } from "../agent.ts";
import { registerAgent } from "../register.ts";
import { FakeServer, type FakeServerOptions } from "./fake-server.ts";

/** A server, a registered home, and agents in it, all removed at the end of a test. */
export class AgentFixture implements AsyncDisposable {
  readonly server: FakeServer;
  readonly home: string;
  readonly #log: Logger;
  readonly #agents: RunningAgent[] = [];

  private constructor(server: FakeServer, home: string) {
    this.server = server;
    this.home = home;
    this.#log = pino({ level: process.env.BERTH_TEST_LOG ?? "silent" }, pino.destination(2));
  }

  static async open(options: FakeServerOptions = {}): Promise<AgentFixture> {
    const server = await FakeServer.start(options);
    const home = mkdtempSync(join(tmpdir(), "berth-agent-"));
    const capabilities = {
      os: "linux",
      arch: "x64",
      cpus: 2,
      memoryBytes: 1,
      diskFreeBytes: 1,
      gpus: [],
      backends: {},
      slots: 1,
    };
    await registerAgent({
      home,
      server: server.url,
      token: "t",
      name: "w",
      type: "local",
      agentVersion: "1",
      capabilities,
    });
    return new AgentFixture(server, home);
  }

  /** Starts an agent in the home; one that ran there before must have been stopped. */
  async start(backend: ExecutionBackend, options: Partial<AgentOptions> = {}): Promise<RunningAgent> {
    const settings = { diskFreeMinBytes: 0, graceMs: 500, ...(options.settings as object | undefined) };
    const agent = await startAgent({
      home: this.home,
      backends: [backend],
      version: "test",
      log: this.#log,
      heartbeatIntervalMs: 50,
      ...options,
      settings,
    });
    this.#agents.push(agent);
    await agent.ready;
    return agent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.stop()));
    await this.server[Symbol.asyncDispose]();
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** What a server would hand to an agent for this pipeline file. */
export function assignmentOf(
  pipeline: string,
  more: Partial<Assignment> & { readonly params?: Params } = {},
): Assignment {
  const compiled = compilePipeline(pipeline);
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
  return {
    run: newId("run"),
    epoch: 1,
    number: 1,
    project: "default",
    plan: compiled.plan,
    params: {},
    backend: null,
    source: null,
    prior: [],
    noCache: false,
    timeLeftMs: null,
    cancel: null,
    ...more,
  };
}
