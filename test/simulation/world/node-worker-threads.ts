import { EventEmitter } from "node:events";
import { HEARTBEAT_INTERVAL_MS, type HeartbeatRequest } from "../../../src/protocol/agent-api.ts";
import { BerthError } from "../../../src/protocol/errors.ts";
import { callFrom } from "./agent-client.ts";
import { currentProcess, runIn } from "./virtual-time.ts";

/** A heartbeat that is not answered is worth less than the next one. */
const HEARTBEAT_DEADLINE_MS = 8_000;

interface ThreadData {
  readonly workerId: string;
  readonly bootId: string;
  readonly intervalMs?: number;
  readonly held: HeartbeatRequest["held"];
}

/** The heartbeat's thread, as another task of the same simulated process; no other thread is started for small files. */
export class Worker extends EventEmitter {
  readonly #timer: NodeJS.Timeout;
  #held: HeartbeatRequest["held"];
  #capabilities: HeartbeatRequest["capabilities"];
  #beating = false;

  constructor(url: URL, { workerData }: { readonly workerData: ThreadData }) {
    super();
    if (!url.href.endsWith("/heartbeat-thread.ts")) throw new Error(`the simulation starts no thread for ${url.href}`);
    this.#held = workerData.held;
    const agent = currentProcess()!;
    this.#timer = setInterval(() => {
      if (!this.#beating) void runIn(agent, () => this.#beat(workerData));
    }, workerData.intervalMs ?? HEARTBEAT_INTERVAL_MS);
  }

  postMessage(order: { type: "held"; held: HeartbeatRequest["held"] } | { type: "capabilities"; capabilities: never }) {
    if (order.type === "held") this.#held = order.held;
    else this.#capabilities = order.capabilities;
  }

  async terminate(): Promise<number> {
    clearInterval(this.#timer);
    return 0;
  }

  async #beat(identity: ThreadData): Promise<void> {
    this.#beating = true;
    const capabilities = this.#capabilities;
    const request = { held: this.#held, ...(capabilities === undefined ? {} : { capabilities }) };
    try {
      const body = await callFrom(identity, "heartbeat", [request], { deadlineMs: HEARTBEAT_DEADLINE_MS });
      if (this.#capabilities === capabilities) this.#capabilities = undefined;
      this.emit("message", { type: "answer", body });
    } catch (error) {
      const { code, message } = error instanceof BerthError ? error : new BerthError("unavailable", String(error));
      this.emit("message", { type: "failure", code, message });
    } finally {
      this.#beating = false;
    }
  }
}

export const parentPort = null;
export const workerData = null;
