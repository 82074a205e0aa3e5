import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { fault } from "../../protocol/faults.ts";
import { errnoOf } from "../../std/errno.ts";
import { type AttemptSpec, BackendError, type Terminal } from "../execution-backend.ts";
import { secretVariables } from "../spec-secrets.ts";
import { findStrays } from "./proc.ts";
import { sendSignal } from "./send-signal.ts";
import { stepEnvironment } from "./step-environment.ts";

/** As shells tell a signal's death. */
const SIGNALLED = 128;

/**
 * Runs a program at a terminal with what a step of this spec would see. It is a child in the terminal's own session, so
 * that it can have the foreground; whatever it leaves running is killed when it has ended.
 */
export async function enterProcess(spec: AttemptSpec, terminal: Terminal, signal: AbortSignal): Promise<number> {
  const [program, ...rest] = spec.argv;
  signal.throwIfAborted();
  const { stdin, stdout, stderr, isInteractive } = terminal;
  const child = spawn(program, rest, {
    env: { ...stepEnvironment(spec), ...secretVariables(spec.secrets) },
    cwd: spec.workingFolder ?? `${spec.folder}/tmp`,
    stdio: isInteractive ? [stdin, stdout, stderr] : "pipe",
  });
  const kill = () => {
    child.kill("SIGKILL");
    killStrays(spec.folder);
  };
  signal.addEventListener("abort", kill, { once: true });
  try {
    const ended = once(child, "exit");
    const closed = once(child, "close");
    closed.catch(() => {}); // Its exit tells.
    if (!isInteractive) connect(child, terminal);
    const [code, signalled] = (await ended) as [number | null, NodeJS.Signals | null];
    // What it left in the background may hold the pipes.
    killStrays(spec.folder);
    await closed;
    return code ?? SIGNALLED + constants.signals[signalled!];
  } catch (error) {
    throw notStarted(error, program);
  } finally {
    signal.removeEventListener("abort", kill);
    stdin.unpipe();
    stdin.pause();
  }
}

function connect({ stdin, stdout, stderr }: ChildProcess, terminal: Terminal): void {
  stdin!.on("error", () => {}); // It may end without having read everything.
  terminal.stdin.pipe(stdin!);
  stdout!.on("data", (chunk: Uint8Array) => terminal.stdout.write(chunk));
  stderr!.on("data", (chunk: Uint8Array) => terminal.stderr.write(chunk));
}

function killStrays(folder: string): void {
  for (const pid of findStrays(folder)) sendSignal(pid, "SIGKILL");
}

function notStarted(error: unknown, program: string): unknown {
  const code = errnoOf(error);
  if (code === undefined) return error;
  const message = `The program ${program} could not be started here: ${code}.`;
  return new BackendError("not-found", fault("bad-entrypoint", message), { cause: error });
}
