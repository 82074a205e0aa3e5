import assert from "node:assert/strict";
import type { AttemptRef, AttemptSpec, BackendSession, Handle, Observation, Outcome } from "../../execution-backend.ts";
import { objectName } from "../../object-name.ts";
import { type DockerHarness, dockerHarness, type EngineSettings } from "./docker-harness.ts";

const DEADLINE_MS = 60_000;
const POLL_INTERVAL_MS = 20;

export interface Laid {
  readonly ref: AttemptRef;
  readonly spec: AttemptSpec;
  readonly handle: Handle;
}

/** A fresh installation with one session, for tests of what is Docker's own. Everything is removed at its end. */
export class DockerRig implements AsyncDisposable {
  readonly harness: DockerHarness;
  readonly session: BackendSession;
  readonly #laid: Laid[] = [];
  readonly #sessions: BackendSession[] = [];
  readonly #image: string;

  private constructor(image: string, harness: DockerHarness, session: BackendSession) {
    this.#image = image;
    this.harness = harness;
    this.session = session;
  }

  static async open(image: string, settings: EngineSettings = {}): Promise<DockerRig> {
    const harness = dockerHarness(image, settings);
    return new DockerRig(image, harness, await harness.open());
  }

  /** As another process would open it. */
  async anotherSession(): Promise<BackendSession> {
    const session = await this.harness.open();
    this.#sessions.push(session);
    return session;
  }

  async lay(script: string, change: Partial<AttemptSpec> & { readonly scope?: string } = {}): Promise<Laid> {
    const { scope = "scope", ...spec } = change;
    const folder = await this.harness.makeFolder();
    const ref = { run: "run", stepRun: `step[${this.#laid.length}]`, attempt: 1, scope };
    const laid = {
      ref,
      spec: {
        image: this.#image,
        argv: ["sh", "-c", script],
        env: {},
        workingFolder: null,
        folder,
        mounts: [],
        network: "none",
        limits: { cpus: null, memoryBytes: null, pids: 64 },
        labels: {},
        ...spec,
      } satisfies AttemptSpec,
      handle: { backend: "docker", name: objectName(this.harness.installation, ref), ref, folder },
    };
    this.#laid.push(laid);
    return laid;
  }

  async submit(laid: Laid): Promise<Handle> {
    return this.session.submit(laid.ref, laid.spec);
  }

  /** Lays out, submits, and waits for the end. */
  async run(script: string, change: Parameters<DockerRig["lay"]>[1] = {}): Promise<Laid & { outcome: Outcome }> {
    const laid = await this.lay(script, change);
    await this.submit(laid);
    return { ...laid, outcome: await this.end(laid) };
  }

  async see({ handle }: Laid, session: BackendSession = this.session): Promise<Observation> {
    const seen = (await session.observe([handle])).get(handle.name)!;
    if (!("state" in seen)) throw seen;
    return seen;
  }

  async end(laid: Laid): Promise<Outcome> {
    const seen = await this.until(
      "the end",
      () => this.see(laid),
      ({ state }) => state === "terminal",
    );
    return seen.outcome!;
  }

  async untilRunning(laid: Laid): Promise<void> {
    await this.until(
      "running",
      () => this.see(laid),
      ({ state }) => state === "running",
    );
  }

  /** Waits until the step has printed this much. */
  async untilPrinted(laid: Laid, text: string): Promise<void> {
    await this.until(
      `${JSON.stringify(text)} in the log`,
      () => this.log(laid),
      (log) => log.includes(text),
    );
  }

  async log({ handle }: Laid, stream: "stdout" | "stderr" = "stdout"): Promise<string> {
    const chunks = await Array.fromAsync(this.session.logs(handle, stream, { offset: 0, follow: false }));
    return Buffer.concat(chunks).toString();
  }

  async until<T>(what: string, look: () => Promise<T> | T, isMet: (value: T) => boolean): Promise<T> {
    const deadline = performance.now() + DEADLINE_MS;
    for (;;) {
      const value = await look();
      if (isMet(value)) return value;
      if (performance.now() > deadline) throw new Error(`waited for ${what}; last seen: ${JSON.stringify(value)}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { handle } of this.#laid) await this.session.release(handle, { force: true });
    for (const scope of new Set(this.#laid.map(({ ref }) => ref.scope))) await this.session.releaseScope(scope);
    for (const session of [this.session, ...this.#sessions]) await session[Symbol.asyncDispose]();
    const left = await this.harness.docker(
      "ps",
      "--all",
      "--quiet",
      "--filter",
      `label=berth.installation=${this.harness.installation}`,
    );
    await this.harness.close();
    assert.equal(left, "", "no container is left");
  }
}
