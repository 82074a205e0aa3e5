import type { Fault } from "../../protocol/faults.ts";
import type { AttemptRef, AttemptSpec } from "../execution-backend.ts";

/** How a scripted step ends. */
export type End =
  | { readonly exit: number; readonly warnings?: readonly string[] }
  | { readonly signal: string }
  /** The memory limit killed the main process. */
  | { readonly oom: true }
  /** Deleted behind Berth's back without a record. */
  | { readonly vanished: true }
  /** The command could not be executed. */
  | { readonly neverStarted: Fault };

/** What a script can do while its step runs. */
export interface ScriptedStep {
  readonly ref: AttemptRef;
  readonly spec: AttemptSpec;
  print(bytes: string | Uint8Array, stream?: "stdout" | "stderr"): void;
  /** Writes a file under the attempt folder's `out/`, making folders as needed; nothing once the step has ended. */
  write(path: string, content: string | Uint8Array): void;
  /** Appends a line to what the step says of itself (`$BERTH_MESSAGES`); nothing once the step has ended. */
  say(line: string): void;
  /** Waits on the backend's clock. */
  delay(ms: number): Promise<void>;
  /** Waits until the test calls `tell()` on the attempt. */
  told(): Promise<void>;
  /** From here on TERM does not end the step; the script may look at `term` and return in its own time. */
  handleTerm(): void;
  /** Aborted by TERM. */
  readonly term: AbortSignal;
  /** Aborted when the step is over, by KILL too: from here on the script is dead, though JavaScript runs on. */
  readonly ended: AbortSignal;
}

/** A step's behaviour. Returning a plain End finishes the step within `submit`. */
export type Script = (step: ScriptedStep) => End | Promise<End>;

export interface Effects {
  readonly stdout?: string | Uint8Array;
  readonly stderr?: string | Uint8Array;
  /** Files under `out/`, by path. */
  readonly outputs?: Readonly<Record<string, string | Uint8Array>>;
  /** Runs this long on the backend's clock before it ends. */
  readonly afterMs?: number;
}

/** Prints and writes what it is told to, then exits. */
export function exits(code: number, effects: Effects = {}): Script {
  return ends({ exit: code }, effects);
}

/** The same with any end. */
export function ends(end: End, effects: Effects = {}): Script {
  return (step) => {
    if (effects.stdout !== undefined) step.print(effects.stdout);
    if (effects.stderr !== undefined) step.print(effects.stderr, "stderr");
    for (const [path, content] of Object.entries(effects.outputs ?? {})) step.write(path, content);
    return effects.afterMs === undefined ? end : step.delay(effects.afterMs).then(() => end);
  };
}

/** Runs until the test ends it by `finish`, or TERM does. */
export function hangs(): Script {
  return () => new Promise(() => {});
}

/** Runs until KILL. */
export function ignoresTerm(): Script {
  return (step) => {
    step.handleTerm();
    return new Promise(() => {});
  };
}

/** Waits for `tell()`, then goes on as `next`. */
export function waitsThen(next: Script): Script {
  return async (step) => {
    await step.told();
    return next(step);
  };
}
