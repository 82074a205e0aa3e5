import { generateKeyPairSync } from "node:crypto";
import { AgentClient } from "../src/agent/agent-client.ts";
import { publicKeyOf } from "../src/agent/identity.ts";
import type { Assignment, LeaseRef, WorkerCapabilities } from "../src/protocol/agent-api.ts";
import { POLL_WAIT_MS } from "../src/protocol/agent-api.ts";
import type { AgentEventBody } from "../src/protocol/events.ts";
import { newId } from "../src/protocol/ids.ts";
import { insertWorker } from "../src/server/store/workers.ts";
import type { BenchServer } from "./bench-server.ts";

export const CAPABILITIES: WorkerCapabilities = {
  ...{ os: "linux", arch: "x64", cpus: 4, memoryBytes: 8 * 1024 ** 3, diskFreeBytes: 100 * 1024 ** 3, gpus: [] },
  ...{ backends: { process: {} }, slots: 4 },
};

/** A worker that takes runs and says that they succeeded, through the client and the signatures of a real agent. */
export class SimulatedAgent implements Disposable {
  readonly #client: AgentClient;
  /** The last event of each run that it has not finished. */
  readonly #acked = new Map<string, number>();

  private constructor(client: AgentClient) {
    this.#client = client;
  }

  static async register(server: BenchServer, pool: string): Promise<SimulatedAgent> {
    const { privateKey } = generateKeyPairSync("ed25519");
    const [workerId, bootId] = [newId("worker"), newId("boot")];
    await insertWorker(server.database.pool, {
      ...{ id: workerId, project: server.project, name: `w${workerId.slice(-12)}`, type: "custom", pool, labels: [] },
      ...{ publicKey: publicKeyOf(privateKey), agentVersion: "bench", capabilities: CAPABILITIES },
    });
    const client = new AgentClient({ server: server.url, workerId, bootId, privateKey });
    await client.boot({ bootId, agentVersion: "bench", apiVersion: 1, capabilities: CAPABILITIES, held: [] });
    return new SimulatedAgent(client);
  }

  /** Waits for one run; null when there was none. */
  async take(signal?: AbortSignal): Promise<Assignment | null> {
    const request = { freeSlots: 1, held: [], knownCancels: [], waitMs: POLL_WAIT_MS };
    const { assignments } = await this.#client.poll(request, signal);
    return assignments[0] ?? null;
  }

  /** The least that an agent can ask: one signed request, one durable write. */
  async beat(): Promise<void> {
    await this.#client.heartbeat({ held: [] });
  }

  /** Reports that its only step run succeeded at once. */
  async finish({ run, epoch, plan }: Assignment): Promise<void> {
    const stepRun = plan.steps[0]!.name;
    const attempt = { stepRun, attempt: 1 };
    await this.report({ run, epoch }, [
      { type: "run.started", backend: "process" },
      { type: "attempt.started", ...attempt, backend: "process", object: `simulated-${run}` },
      {
        ...({ type: "attempt.finished", ...attempt, state: "succeeded", stepState: "succeeded" } as const),
        ...{ exitCode: 0, signal: null, fault: null, phases: { running: 1 }, usage: {} },
        ...{ outputs: [], inputs: [], warnings: [] },
      },
      { type: "run.finished", state: "succeeded", fault: null },
    ]);
  }

  /** Reports the next events of a run. */
  async report({ run, epoch }: LeaseRef, bodies: readonly AgentEventBody[]): Promise<void> {
    const at = new Date().toISOString();
    const acked = this.#acked.get(run) ?? 0;
    const events = bodies.map((body, index) => ({ seq: acked + index + 1, at, body }));
    const { ackedSeq } = await this.#client.sendEvents(run, { epoch, events });
    if (bodies.at(-1)?.type === "run.finished") this.#acked.delete(run);
    else this.#acked.set(run, ackedSeq);
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }
}
