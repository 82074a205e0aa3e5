import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fault } from "../../protocol/faults.ts";
import type { AttemptRef, AttemptSpec, CancelOptions, Handle, Observation, Outcome } from "../execution-backend.ts";
import { endedOutcome, lostOutcome, neverStartedOutcome, stoppedOutcome } from "../outcomes.ts";
import type { MemoryClock } from "./clock.ts";
import { MemoryLog } from "./memory-log.ts";
import type { End, Script, ScriptedStep } from "./script.ts";

/** The object of one attempt on the fake platform; also what a test holds to steer it. */
export class MemoryAttempt {
  readonly handle: Handle;
  readonly spec: AttemptSpec;
  readonly createdAtMs: number;
  readonly logs = { stdout: new MemoryLog(), stderr: new MemoryLog() };
  /** How often user code was started; more than once would be a defect of this fake. */
  starts = 0;
  #stop: CancelOptions["reason"] | null = null;
  #phase: "held" | "running" | "terminal" = "held";
  #outcome: Outcome | null = null;
  #handlesTerm = false;
  readonly #term = new AbortController();
  readonly #told = Promise.withResolvers<void>();
  readonly #ended = new AbortController();
  readonly #clock: MemoryClock;
  readonly #onChange: (name: string) => void;

  constructor(handle: Handle, spec: AttemptSpec, clock: MemoryClock, onChange: (name: string) => void) {
    this.handle = handle;
    this.spec = spec;
    this.createdAtMs = clock.now();
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get ref(): AttemptRef {
    return this.handle.ref;
  }

  get state(): "held" | "running" | "terminal" {
    return this.#phase;
  }

  observation(): Observation {
    const userCode = this.starts === 0 ? "never" : "started";
    return this.#outcome === null
      ? { state: this.#phase, userCode }
      : { state: "terminal", userCode, outcome: this.#outcome };
  }

  // What the platform does on behalf of a session.

  start(script: Script): void {
    if (this.#phase !== "held") return;
    this.#phase = "running";
    this.starts += 1;
    this.#onChange(this.handle.name);
    const end = script(this.#step());
    if (!(end instanceof Promise)) {
      this.finish(end);
      return;
    }
    end.then(
      (value) => this.finish(value),
      // A throwing script is a defect of the test: make it visible as a failing step.
      (error: unknown) => {
        this.print(`script failed: ${String(error)}\n`, "stderr");
        this.finish({ exit: 70 });
      },
    );
  }

  cancel({ graceMs, reason }: CancelOptions): void {
    this.#stop ??= reason;
    if (this.#phase === "held") this.#end(stoppedOutcome(this.#stop));
    if (this.#phase === "terminal") return;
    this.#term.abort();
    if (!this.#handlesTerm) this.finish({ signal: "SIGTERM" });
    else this.#clock.after(graceMs, () => this.finish({ signal: "SIGKILL" }));
  }

  // What a test does to the attempt.

  print(bytes: string | Uint8Array, stream: "stdout" | "stderr" = "stdout"): void {
    this.logs[stream].append(Buffer.from(bytes as Uint8Array));
  }

  write(path: string, content: string | Uint8Array): void {
    if (this.#phase === "terminal") return;
    const file = join(this.handle.folder, "out", path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }

  say(line: string): void {
    if (this.#phase === "terminal") return;
    appendFileSync(join(this.handle.folder, "messages.jsonl"), `${line}\n`);
  }

  /** Lets a script that waits in `told()` go on. */
  tell(): void {
    this.#told.resolve();
  }

  /** Ends the attempt; without effect once it is terminal, like a late exit on any platform. */
  finish(end: End): void {
    this.#end(this.#outcomeOf(end));
  }

  /** Deletes the object behind Berth's back: a running attempt leaves no record, an ended one keeps it. */
  vanish(): void {
    this.finish({ vanished: true });
  }

  #end(outcome: Outcome): void {
    if (this.#phase === "terminal") return;
    this.#phase = "terminal";
    this.#outcome = outcome;
    this.logs.stdout.close();
    this.logs.stderr.close();
    this.#ended.abort();
    this.#onChange(this.handle.name);
  }

  #outcomeOf(end: End): Outcome {
    if ("vanished" in end) return lostOutcome("The object of the attempt is gone and left no record.");
    if ("neverStarted" in end) {
      this.starts = 0;
      return neverStartedOutcome(end.neverStarted);
    }
    const ending = { exitCode: null, signal: null, oomKills: 0, stats: {}, warnings: [] };
    if ("oom" in end) return endedOutcome({ ...ending, signal: "SIGKILL", oomKills: 1 }, this.#stop);
    if ("signal" in end) return endedOutcome({ ...ending, signal: end.signal }, this.#stop);
    return endedOutcome({ ...ending, exitCode: end.exit, warnings: end.warnings ?? [] }, this.#stop);
  }

  #step(): ScriptedStep {
    return {
      ref: this.ref,
      spec: this.spec,
      term: this.#term.signal,
      ended: this.#ended.signal,
      print: (bytes, stream) => this.print(bytes, stream),
      write: (path, content) => this.write(path, content),
      say: (line) => this.say(line),
      delay: (ms) => new Promise((resolve) => this.#clock.after(ms, resolve)),
      told: () => this.#told.promise,
      handleTerm: () => {
        this.#handlesTerm = true;
      },
    };
  }
}

/** The End of a command that does not exist. */
export function cannotStart(command: string): End {
  return { neverStarted: fault("bad-entrypoint", `The command ${command} could not be executed.`) };
}
