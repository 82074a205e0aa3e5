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
  /** What the process is started through, such as a namespace; it has to become the process. */
  readonly through?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Exit codes by which it may end by itself, to be started again. */
  readonly mayExitWith: readonly number[];
  /** What it says, over all its lives. */
  readonly logFile: string;
}

/** One process of Berth under a service manager: whenever it dies it is started again, until it is stopped. */
export class Part {
  readonly name: string;
  readonly #options: PartOptions;
  #child: ChildProcess | null = null;
  readonly #crashes: string[] = [];
  #goneUntil = 0;
  readonly #stopping = new AbortController();
  #heldDown: Promise<unknown> = Promise.resolve();
  readonly #life: Promise<void>;

  constructor(options: PartOptions) {
    this.name = options.name;
    this.#options = options;
    this.#life = this.#live();
  }

  /** Each time that it ended although nobody had ended it. */
  get crashes(): readonly string[] {
    return this.#crashes;
  }

  /** False when there is none to kill just now, or when it is left to itself: see `goneFor`. */
  kill(): boolean {
    return !this.#isGone && (this.#child?.kill("SIGKILL") ?? false);
  }

  /** Stops it in the middle of whatever it does, and lets it go on later. */
  pauseFor(pausedMs: number): boolean {
    return !this.#isGone && this.#pauseFor(pausedMs);
  }

  /** Kills it and keeps it from coming back for a while, as a machine that is gone; nothing else is done to it then. */
  killFor(downMs: number): boolean {
    if (!this.kill()) return false;
    this.#heldDown = sleep(downMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
    this.goneFor(downMs);
    return true;
  }

  /** The same, but it is only stopped, and goes on as if nothing had been. */
  freezeFor(pausedMs: number): boolean {
    if (!this.pauseFor(pausedMs)) return false;
    this.goneFor(pausedMs);
    return true;
  }

  /** For this long nothing else is done to it, so that it is gone for as long as it was meant to be. */
  goneFor(ms: number): void {
    this.#goneUntil = performance.now() + ms;
  }

  get #isGone(): boolean {
    return performance.now() < this.#goneUntil;
  }

  #pauseFor(pausedMs: number): boolean {
    const child = this.#child;
    if (child === null || !child.kill("SIGSTOP")) return false;
    setTimeout(() => child.kill("SIGCONT"), pausedMs).unref();
    return true;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#child?.kill("SIGCONT");
    this.#child?.kill("SIGTERM");
    const timer = setTimeout(() => this.#child?.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await this.#life;
    clearTimeout(timer);
  }

  async #live(): Promise<void> {
    const { name, args, env, logFile, through = [], mayExitWith } = this.#options;
    const [program, ...rest] = [...through, process.execPath, MAIN, ...args];
    while (!this.#stopping.signal.aborted) {
      const log = openSync(logFile, "a");
      // By the channel it hears when this process is gone, and then ends too: see serve-until-stopped.ts.
      this.#child = spawn(program!, rest, { env, stdio: ["ignore", log, log, "ipc"] });
      closeSync(log);
      const [code, signal] = (await once(this.#child, "exit")) as [number | null, NodeJS.Signals | null];
      this.#child = null;
      const isOurs = this.#stopping.signal.aborted || signal === "SIGKILL";
      if (!isOurs && !mayExitWith.includes(code ?? -1)) this.#crashes.push(`${name} ended with ${code ?? signal}`);
      await this.#heldDown;
      await sleep(RESTART_DELAY_MS, undefined, { signal: this.#stopping.signal }).catch(() => {});
    }
  }
}
