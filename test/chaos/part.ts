import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const MAIN = resolve(import.meta.dirname, "../../src/main.ts");
/** A process that was killed comes back this soon, as any service manager would bring it back. */
const RESTART_DELAY_MS = 200;
const STOP_TIMEOUT_MS = 30_000;

export interface PartOptions {
  readonly name: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** What it says, over all its lives. */
  readonly logFile: string;
}

/** One process of Berth under a service manager: whenever it dies it is started again, until it is stopped. */
export class Part {
  readonly name: string;
  readonly #options: PartOptions;
  #child: ChildProcess | null = null;
  #lives = 0;
  #stopping = false;
  #heldDown: Promise<unknown> = Promise.resolve();
  readonly #life: Promise<void>;

  constructor(options: PartOptions) {
    this.name = options.name;
    this.#options = options;
    this.#life = this.#live();
  }

  /** How often it was started. */
  get lives(): number {
    return this.#lives;
  }

  /** False when there is none to kill just now. */
  kill(): boolean {
    return this.#child?.kill("SIGKILL") ?? false;
  }

  /** Kills it and keeps it from coming back for a while, as a machine that is gone. */
  killFor(downMs: number): boolean {
    this.#heldDown = sleep(downMs);
    return this.kill();
  }

  /** Stops it in the middle of whatever it does, and lets it go on later. */
  pauseFor(pausedMs: number): boolean {
    const child = this.#child;
    if (child === null || !child.kill("SIGSTOP")) return false;
    setTimeout(() => child.kill("SIGCONT"), pausedMs);
    return true;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#child?.kill("SIGCONT");
    this.#child?.kill("SIGTERM");
    const timer = setTimeout(() => this.#child?.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await this.#life;
    clearTimeout(timer);
  }

  async #live(): Promise<void> {
    const { args, env, logFile } = this.#options;
    while (!this.#stopping) {
      const log = openSync(logFile, "a");
      this.#child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ["ignore", log, log] });
      closeSync(log);
      this.#lives += 1;
      await once(this.#child, "exit");
      this.#child = null;
      await this.#heldDown;
      await sleep(RESTART_DELAY_MS);
    }
  }
}
