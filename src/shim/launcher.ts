import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import type { Writable } from "node:stream";
import { getSystemErrorMap } from "node:util";

/** The launcher's buffer; Linux itself takes about half of this for arguments and environment together. */
const REQUEST_BYTES_MAX = 4 * 1024 * 1024;

export interface LaunchRequest {
  /** The control folder of the attempt. */
  readonly controlFolder: string;
  readonly argv: readonly string[];
  /** All that the step's process sees. */
  readonly env: Readonly<Record<string, string>>;
  readonly workingFolder: string;
  /** More of it, read when the step starts; left out for none: see shim.ts. */
  readonly variablesFile?: string;
}

/** A shim that was launched: alive until `onEnd` was called. */
export interface ShimProcess {
  readonly pid: number;
  /**
   * Calls back once, when the shim has ended, or when its end can no longer be told because the launcher is gone.
   * Leaving the callback out of account is no loss: the end itself is in the control folder.
   */
  onEnd(callback: () => void): void;
}

/** The system's refusal to start a shim: `code` such as `ENOENT` for the working folder. */
export class LaunchError extends Error {
  override readonly name = "LaunchError";
  readonly code: string;

  constructor(code: string) {
    super(`the shim could not be started: ${code}`);
    this.code = code;
  }
}

interface Answerer {
  readonly started: (pid: number) => void;
  readonly failed: (error: LaunchError) => void;
}

/**
 * Starts shims through one small process, `berth-shim --launch`, because a fork costs what its process has of memory:
 * Node's own spawn takes several times as long and stops the event loop meanwhile. Every shim is in a session of its
 * own and outlives the launcher, which ends with its agent. A launcher that was killed is replaced at the next launch.
 *
 * A request is four bytes of length, then words that each end in a zero byte: id, working folder, number of arguments,
 * the arguments, the environment. Answers are lines: `started ID PID`, `failed ID ERRNO`, `ended PID 0`.
 */
export class ShimLauncher implements Disposable {
  readonly #shim: string;
  readonly #waiting = new Map<number, Answerer>();
  readonly #running = new Map<number, () => void>();
  #process: ChildProcess | null = null;
  #nextId = 1;
  #partialLine = "";

  constructor(shim: string) {
    this.#shim = shim;
  }

  /** Resolves when the shim's program runs; rejects with a LaunchError when nothing was started. */
  launch(request: LaunchRequest): Promise<ShimProcess> {
    const id = this.#nextId++;
    const message = encode(id, this.#shim, request);
    if (message === null) return Promise.reject(new LaunchError("E2BIG"));
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { started: (pid) => resolve(this.#follow(pid)), failed: reject });
      this.#requests().write(message);
      this.#keepAlive();
    });
  }

  /** Lets the launcher end; what it launched goes on. */
  [Symbol.dispose](): void {
    this.#running.clear();
    this.#process?.stdin?.end();
    this.#process = null;
  }

  #follow(pid: number): ShimProcess {
    let ended = false;
    let tell: (() => void) | null = null;
    this.#running.set(pid, () => {
      ended = true;
      tell?.();
    });
    return {
      pid,
      onEnd(callback) {
        if (ended) queueMicrotask(callback);
        else tell = callback;
      },
    };
  }

  #requests(): Writable {
    if (this.#process?.stdin != null) return this.#process.stdin;
    // A session of its own: a Ctrl-C in the agent's terminal is not meant for it.
    const child = spawn(this.#shim, ["--launch"], { stdio: ["pipe", "pipe", "ignore"], detached: true, env: {} });
    this.#process = child;
    const lost = () => this.#lost(child);
    child.once("error", lost);
    child.once("exit", lost);
    child.stdin.on("error", () => {}); // Its exit tells.
    child.stdout.setEncoding("latin1").on("data", (text: string) => this.#read(text));
    child.unref();
    (child.stdin as Socket).unref();
    return child.stdin;
  }

  /** A process waits for an answer, but not for the ends of what it launched. */
  #keepAlive(): void {
    const answers = this.#process?.stdout as Socket | undefined;
    if (this.#waiting.size > 0) answers?.ref();
    else answers?.unref();
  }

  #read(text: string): void {
    const lines = (this.#partialLine + text).split("\n");
    this.#partialLine = lines.pop()!;
    for (const line of lines) {
      const [word, first, second] = line.split(" ");
      if (word === "ended") this.#ended(Number(first));
      else this.#answered(Number(first), word === "started", Number(second));
    }
    this.#keepAlive();
  }

  #answered(id: number, started: boolean, number: number): void {
    const answerer = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (started) answerer?.started(number);
    else answerer?.failed(new LaunchError(getSystemErrorMap().get(-number)?.[0] ?? `errno ${number}`));
  }

  #ended(pid: number): void {
    const tell = this.#running.get(pid);
    this.#running.delete(pid);
    tell?.();
  }

  #lost(child: ChildProcess): void {
    if (this.#process !== child) return;
    this.#process = null;
    this.#partialLine = "";
    for (const [id, { failed }] of [...this.#waiting]) {
      this.#waiting.delete(id);
      failed(new LaunchError("EPIPE"));
    }
    for (const pid of [...this.#running.keys()]) this.#ended(pid);
  }
}

/** Null when it is too large. A zero byte cannot be part of a word; the pipeline's schema refuses it before. */
function encode(id: number, shim: string, request: LaunchRequest): Buffer | null {
  const options = request.variablesFile === undefined ? [] : ["--variables", request.variablesFile];
  const args = [shim, ...options, request.controlFolder, "--", ...request.argv];
  const env = Object.entries(request.env).map(([name, value]) => `${name}=${value}`);
  const words = [String(id), request.workingFolder, String(args.length), ...args, ...env];
  if (words.some((word) => word.includes("\0"))) throw new LaunchError("EINVAL");
  const body = Buffer.from(`${words.join("\0")}\0`);
  if (body.length > REQUEST_BYTES_MAX) return null;
  const message = Buffer.allocUnsafe(4 + body.length);
  message.writeUInt32LE(body.length, 0);
  body.copy(message, 4);
  return message;
}
