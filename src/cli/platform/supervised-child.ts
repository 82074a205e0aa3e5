import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

/** What a supervised program tells its supervisor. */
export type ChildMessage =
  | { readonly type: "ready"; readonly url?: string }
  /** Somebody used it: a background platform then stays. */
  | { readonly type: "activity" }
  /** It cannot start, and would not the next time either. */
  | { readonly type: "fatal"; readonly message: string; readonly advice: readonly string[] };

export interface SupervisedChildOptions {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly env: NodeJS.ProcessEnv;
  /** File descriptor that stdout and stderr go to. */
  readonly logFd: number;
  readonly onMessage: (message: ChildMessage) => void;
  readonly onExit: (description: string, restartInMs: number) => void;
}

/** The first restart is quick, so that a killed process is back in about a second. */
const RESTART_DELAY_FIRST_MS = 200;
const RESTART_DELAY_MAX_MS = 10_000;
/** Who lived this long had started well: the next crash is a new story. */
const STABLE_AFTER_MS = 20_000;
/** From the request to stop to kill -9. Longer than a server takes to stop PostgreSQL. */
const STOP_GRACE_MS = 20_000;

/** A program that is started again whenever it ends, until it is stopped. */
export class SupervisedChild implements AsyncDisposable {
  readonly #options: SupervisedChildOptions;
  readonly #stopping = new AbortController();
  #process: ChildProcess | null = null;
  #supervising: Promise<void> | null = null;

  constructor(options: SupervisedChildOptions) {
    this.#options = options;
  }

  start(): void {
    this.#supervising ??= this.#supervise();
  }

  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  /** Ends the program in order, by force if it takes too long. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const child = this.#process;
    child?.kill("SIGTERM");
    const force = setTimeout(() => child?.kill("SIGKILL"), STOP_GRACE_MS);
    await this.#supervising;
    clearTimeout(force);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #supervise(): Promise<void> {
    let delayMs = RESTART_DELAY_FIRST_MS;
    while (!this.#stopping.signal.aborted) {
      const startedAtMs = performance.now();
      const description = await this.#runOnce();
      if (this.#stopping.signal.aborted) return;
      if (performance.now() - startedAtMs > STABLE_AFTER_MS) delayMs = RESTART_DELAY_FIRST_MS;
      this.#options.onExit(description, delayMs);
      await sleep(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
      delayMs = Math.min(delayMs * 2, RESTART_DELAY_MAX_MS);
    }
  }

  /** Resolves, saying how, when the program has ended. */
  #runOnce(): Promise<string> {
    const [program, ...args] = this.#options.command;
    const { promise, resolve } = Promise.withResolvers<string>();
    // In a session of its own: Ctrl-C reaches the supervisor alone, which then stops everything in the right order.
    const child = spawn(program, args, {
      env: this.#options.env,
      stdio: ["ignore", this.#options.logFd, this.#options.logFd, "ipc"],
      detached: true,
    });
    this.#process = child;
    child.on("message", (message) => this.#options.onMessage(message as ChildMessage));
    child.on("error", (error) => resolve(`could not be started: ${error.message}`));
    child.on("exit", (code, signal) => {
      this.#process = null;
      resolve(signal === null ? `exited with ${code}` : `was killed by ${signal}`);
    });
    return promise;
  }
}
