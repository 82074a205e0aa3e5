import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import {
  type AttemptRef,
  type AttemptSpec,
  BackendError,
  type BackendSession,
  type CancelOptions,
  type Capabilities,
  type Handle,
  type Observation,
  type Outcome,
} from "../execution-backend.ts";
import { objectName } from "../object-name.ts";
import type { BackendHarness } from "./harness.ts";
import { type Program, shellScript } from "./program.ts";

/** Far more than anything takes: it only bounds how long a defect hangs on a slow machine. */
export const DEADLINE_MS = 60_000;
const POLL_INTERVAL_MS = 25;

/** An attempt that a case has laid out: what to submit, and the handle under which it will be found. */
export interface Laid {
  readonly ref: AttemptRef;
  readonly spec: AttemptSpec;
  readonly handle: Handle;
}

export interface Ended {
  readonly observation: Observation;
  readonly outcome: Outcome;
}

/** What one case works with. It releases and removes all that the case made, and checks that nothing is left. */
export class Rig implements AsyncDisposable {
  readonly harness: BackendHarness;
  readonly capabilities: Capabilities;
  readonly session: BackendSession;
  readonly image: string | null;
  readonly #case: string;
  readonly #laid: Laid[] = [];
  readonly #sessions: BackendSession[] = [];

  constructor(
    harness: BackendHarness,
    shared: { session: BackendSession; capabilities: Capabilities; image: string | null },
    id: string,
  ) {
    this.harness = harness;
    this.session = shared.session;
    this.capabilities = shared.capabilities;
    this.image = shared.image;
    this.#case = id;
  }

  /** Another session, as another process would open it; closed at the end of the case. */
  async anotherSession(): Promise<BackendSession> {
    const session = await this.harness.open();
    this.#sessions.push(session);
    return session;
  }

  /** Lays an attempt out without touching the platform. */
  async lay(program: Program, change: Partial<AttemptSpec> = {}): Promise<Laid> {
    const argv = this.harness.fakeCommand?.(program) ?? (["sh", "-c", shellScript(program)] as const);
    return this.layCommand(argv, change);
  }

  async layShell(script: string, change: Partial<AttemptSpec> = {}): Promise<Laid> {
    return this.layCommand(["sh", "-c", script], change);
  }

  async layCommand(argv: AttemptSpec["argv"], change: Partial<AttemptSpec> = {}): Promise<Laid> {
    const folder = await this.harness.makeFolder();
    const scope = `${this.#case}-scope`;
    const ref = { run: this.#case, stepRun: `step[${this.#laid.length}]`, attempt: 1, scope };
    const spec: AttemptSpec = {
      image: this.image,
      argv,
      env: {},
      workingFolder: null,
      folder,
      mounts: [],
      // Making a network is more than half of what a container costs; the cases that are about one ask for it.
      network: this.capabilities.network.none ? "none" : "run",
      limits: { cpus: null, memoryBytes: null, pids: 256 },
      labels: { "contract/case": this.#case },
      ...change,
    };
    const name = objectName(this.harness.installation, ref);
    const laid = { ref, spec, handle: { backend: this.harness.backendName, name, ref, folder } };
    this.#laid.push(laid);
    return laid;
  }

  async submit({ ref, spec }: Laid, session: BackendSession = this.session): Promise<Handle> {
    return session.submit(ref, spec);
  }

  /** Lays out, submits, and waits for the end. */
  async run(program: Program, change: Partial<AttemptSpec> = {}): Promise<Laid & Ended> {
    return this.runLaid(await this.lay(program, change));
  }

  async runShell(script: string, change: Partial<AttemptSpec> = {}): Promise<Laid & Ended> {
    return this.runLaid(await this.layShell(script, change));
  }

  async runLaid(laid: Laid): Promise<Laid & Ended> {
    const handle = await this.submit(laid);
    assert.deepEqual(handle, laid.handle, "the handle follows from the ref alone");
    return { ...laid, ...(await this.end(handle)) };
  }

  async start(program: Program, change: Partial<AttemptSpec> = {}): Promise<Laid> {
    const laid = await this.lay(program, change);
    await this.submit(laid);
    return laid;
  }

  /** One look. */
  async see(handle: Handle, session: BackendSession = this.session): Promise<Observation> {
    const seen = (await session.observe([handle])).get(handle.name);
    assert.ok(seen !== undefined, "every handle asked for is in the answer");
    if (seen instanceof BackendError) throw seen;
    assert.equal(seen.outcome !== undefined, seen.state === "terminal", "an outcome is present exactly when terminal");
    if (seen.outcome !== undefined) checkOutcome(seen.outcome);
    return seen;
  }

  /** Waits for the end, woken by hints, with polling as the net. */
  async end(handle: Handle, session: BackendSession = this.session): Promise<Ended> {
    let wake: () => void = () => {};
    using _watch = session.watch((name) => name === handle.name && wake());
    const deadlineMs = performance.now() + DEADLINE_MS;
    for (;;) {
      const hint = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const observation = await this.see(handle, session);
      if (observation.outcome !== undefined) return { observation, outcome: observation.outcome };
      if (performance.now() > deadlineMs) throw new Error(`not terminal in time: ${JSON.stringify(observation)}`);
      await Promise.race([hint, setTimeout(POLL_INTERVAL_MS * 8)]);
    }
  }

  /** Waits for a condition; the error shows the value that was seen last. */
  async until<T>(what: string, look: () => T | Promise<T>, isMet: (value: T) => boolean): Promise<T> {
    const deadlineMs = performance.now() + DEADLINE_MS;
    for (;;) {
      const value = await look();
      if (isMet(value)) return value;
      if (performance.now() > deadlineMs) throw new Error(`waited for ${what}, last seen: ${JSON.stringify(value)}`);
      await setTimeout(POLL_INTERVAL_MS);
    }
  }

  /** The first bytes of a step may be seen before the note that it runs. */
  async untilRunning(handle: Handle): Promise<void> {
    await this.until(
      `${handle.name} to run`,
      () => this.see(handle),
      ({ state }) => state === "running",
    );
  }

  /** What a file under `out` holds; empty while there is none. */
  output({ spec }: Laid, file: string): string {
    try {
      return readFileSync(join(spec.folder, "out", file), "utf8");
    } catch {
      return "";
    }
  }

  async untilOutput(laid: Laid, file: string): Promise<string> {
    const isThere = (text: string): boolean => text.length > 0;
    return this.until(`${file} of ${laid.ref.stepRun}`, () => this.output(laid, file), isThere);
  }

  /** Lets a program go on that awaits this file. */
  tell({ spec }: Laid, file = "go"): void {
    writeFileSync(join(spec.folder, "out", file), "go");
  }

  async log(handle: Handle, stream: "stdout" | "stderr" = "stdout", offset = 0): Promise<Buffer> {
    return Buffer.concat(await Array.fromAsync(this.session.logs(handle, stream, { offset, follow: false })));
  }

  async cancel({ handle }: Laid, graceMs: number, reason: CancelOptions["reason"] = "user"): Promise<string> {
    return this.session.cancel(handle, { graceMs, reason });
  }

  /** Which of this case's attempts the platform still holds. */
  async inventory(session: BackendSession = this.session): Promise<string[]> {
    const names = new Set(this.#laid.map(({ handle }) => handle.name));
    const held = await Array.fromAsync(session.list());
    return held.map(({ handle }) => handle.name).filter((name) => names.has(name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { handle } of this.#laid) await this.session.release(handle, { force: true });
    const scopes = new Set(this.#laid.map(({ ref }) => ref.scope));
    for (const scope of scopes) await this.session.releaseScope(scope);
    const left = await this.inventory();
    for (const { spec } of this.#laid) await this.harness.removeFolder(spec.folder);
    for (const session of this.#sessions) await session[Symbol.asyncDispose]();
    assert.deepEqual(left, [], "nothing is held after release");
  }
}

function checkOutcome({ state, exitCode, fault }: Outcome): void {
  assert.equal(fault === null, state === "succeeded", `a fault is absent exactly when succeeded: ${state}`);
  if (state === "succeeded") assert.equal(exitCode, 0, "success has exit code 0 as its evidence");
}
