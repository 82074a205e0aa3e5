import type { KeyObject } from "node:crypto";
import { Worker } from "node:worker_threads";
import type { Logger } from "pino";
import { HEARTBEAT_INTERVAL_MS, HeartbeatResponse, type WorkerCapabilities } from "../protocol/agent-api.ts";
import { BerthError, type ErrorCode } from "../protocol/errors.ts";
import type { TlsTrust } from "../std/tls-trust.ts";
import type { HeartbeatOrder, HeartbeatReport, HeartbeatThreadData } from "./heartbeat-message.ts";
import type { HeldRuns } from "./held-runs.ts";

export interface HeartbeatOptions {
  readonly server: string;
  readonly workerId: string;
  readonly bootId: string;
  readonly privateKey: KeyObject;
  /** See ClientOptions. */
  readonly trust?: TlsTrust | undefined;
  readonly held: HeldRuns;
  /** Default HEARTBEAT_INTERVAL_MS. */
  readonly intervalMs?: number;
  onDraining(draining: boolean): void;
  /** The server does not accept this process any more: a newer boot, or the worker was removed. What it said, whole. */
  onFenced(error: BerthError): void;
  readonly log: Logger;
}

/** How often the main thread shows the heartbeat's thread that it makes progress. */
const ALIVE_INTERVAL_MS = 1_000;
/** The thread holds a connection and a list of leases; a larger heap would only be memory taken from steps. */
const THREAD_LIMITS = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 };

/** Refusals that end this process's right to speak for the worker. */
const FENCING = new Set<ErrorCode>(["stale_boot", "unauthenticated", "forbidden", "not_found", "gone"]);

/**
 * Extends the leases, from a thread of its own: see heartbeat-thread.ts. Here is what the main thread does about it:
 * tell the thread what is held, and act on what the server answers.
 */
export class HeartbeatLoop implements AsyncDisposable {
  readonly #options: HeartbeatOptions;
  readonly #thread: Worker;
  readonly #aliveTimer: NodeJS.Timeout;
  readonly #heldListener: Disposable;
  #stopped = false;
  #failures = 0;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    const alive = new SharedArrayBuffer(4);
    const count = new Int32Array(alive);
    this.#aliveTimer = setInterval(() => Atomics.add(count, 0, 1), ALIVE_INTERVAL_MS);
    const workerData: HeartbeatThreadData = {
      server: options.server,
      workerId: options.workerId,
      bootId: options.bootId,
      privateKey: options.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      trust: options.trust,
      intervalMs: options.intervalMs ?? HEARTBEAT_INTERVAL_MS,
      alive,
      held: options.held.refs(),
    };
    this.#thread = new Worker(new URL("./heartbeat-thread.ts", import.meta.url), {
      workerData,
      resourceLimits: THREAD_LIMITS,
    });
    this.#thread.on("message", (report: HeartbeatReport) => this.#handle(report));
    this.#thread.on("error", (cause) =>
      options.onFenced(new BerthError("internal", `the heartbeat's thread ended: ${cause.message}`, { cause })),
    );
    this.#heldListener = options.held.onChange(() => this.#order({ type: "held", held: options.held.refs() }));
  }

  /** Sends what this worker can do with the next heartbeat. */
  report(capabilities: WorkerCapabilities): void {
    this.#order({ type: "capabilities", capabilities });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#aliveTimer);
    this.#heldListener[Symbol.dispose]();
    await this.#thread.terminate();
  }

  #order(order: HeartbeatOrder): void {
    this.#thread.postMessage(order);
  }

  #handle(report: HeartbeatReport): void {
    if (this.#stopped) return;
    const { log, held, onDraining, onFenced } = this.#options;
    if (report.type === "failure") {
      if (FENCING.has(report.code)) {
        const { code, message, advice } = report;
        onFenced(new BerthError(code, message, advice === undefined ? {} : { advice }));
        return;
      }
      this.#failures += 1;
      if (this.#failures % 12 === 1)
        log.warn({ failures: this.#failures, reason: report.message }, "heartbeat: not heard");
      return;
    }
    const parsed = HeartbeatResponse.safeParse(report.body);
    if (!parsed.success) {
      log.error({ err: parsed.error }, "heartbeat: the answer is not of this protocol");
      return;
    }
    if (this.#failures > 0) log.info({ failures: this.#failures }, "heartbeat: heard again");
    this.#failures = 0;
    held.apply(parsed.data);
    onDraining(parsed.data.draining);
  }
}
