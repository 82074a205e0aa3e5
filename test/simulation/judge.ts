import { createHash } from "node:crypto";
import type { BerthError } from "../../src/protocol/errors.ts";
import type { AgentEvent } from "../../src/protocol/events.ts";
import type { Plan } from "../../src/protocol/plan.ts";
import { isTerminal, RUN_TRANSITIONS, STEP_TRANSITIONS } from "../../src/protocol/states.ts";
import { saidTooEarly } from "./judge-order.ts";
import { describe, type Ledger, type LedgerEntry } from "./ledger.ts";
import type { Machine } from "./machine.ts";
import { logKey } from "./memory-logs.ts";
import { metricKey, type RunView, type ServerApi, type VersionView } from "./server-api.ts";
import type { PlatformState } from "./slow-backend.ts";
import type { Provenance } from "./steps.ts";
import type { Scheduler } from "./world/virtual-time.ts";

/** From when an agent has heard that it lost a lease until nothing of it runs: grace, a killed container, a slow engine. */
const FENCING_MAX_MS = 8_000;
/** A limit begins to count when the step is let go, which is a moment before it begins. */
const ROUNDING_MS = 1_000;
/** What was already on its way to the platform when an agent heard that it lost a lease. */
const ON_ITS_WAY_MS = 1_000;
/** To the platform, from hearing that a lease is lost until the last container is gone. */
const CALLS_MAX = 6;

export interface JudgeOptions {
  readonly scheduler: Scheduler;
  readonly ledger: Ledger;
  readonly api: () => ServerApi;
  readonly machines: readonly Machine[];
  readonly plan: (run: string) => Plan;
}

interface Write {
  readonly run: string;
  readonly epoch: number;
  readonly worker: string;
}

/** Holds what happens against what is promised: at each step, and when everything is quiet. */
export class Judge {
  readonly violations: string[] = [];
  readonly #options: JudgeOptions;
  /** The newest epoch that was ever granted, by run, and to whom. */
  readonly #granted = new Map<string, { epoch: number; worker: string }>();
  /** Digests of versions by run, step run and name, as they were first seen. */
  readonly #committed = new Map<string, string>();
  readonly #ended = new Map<string, string>();
  /** When agents heard of leases that they are lost. */
  readonly #heard = new Map<string, number>();

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  violate(what: string): void {
    this.violations.push(`${this.#options.scheduler.nowMs} ms: ${what}`);
  }

  /** A step's user code begins. */
  started(entry: LedgerEntry): void {
    const lostAtMs = this.#heard.get(`${entry.machine} ${entry.run} ${entry.epoch}`);
    const { wayMaxMs } = this.#options.machines.find(({ name }) => name === entry.machine)!.platform;
    if (lostAtMs !== undefined && lostAtMs < entry.startedAtMs - ON_ITS_WAY_MS - 2 * wayMaxMs)
      this.violate(`${describe(entry)} began although its agent had heard that the lease is lost`);
    for (const other of this.#options.ledger.running(entry.run)) {
      if (other === entry || other.stepRun !== entry.stepRun) continue;
      const wasGivenUp = other.epoch !== entry.epoch && other.machine !== entry.machine;
      if (!wasGivenUp) this.violate(`two attempts overlap: ${describe(other)}, and ${describe(entry)}`);
    }
  }

  granted(run: string, epoch: number, worker: string): void {
    const before = this.#granted.get(run);
    if (before !== undefined && before.epoch >= epoch && before.worker !== worker)
      this.violate(`epoch ${epoch} of ${run} was granted twice`);
    if (before === undefined || before.epoch < epoch) this.#granted.set(run, { epoch, worker });
  }

  /** A server took something that an agent wrote. */
  wrote(method: string, { run, epoch, worker }: Write): void {
    const newest = this.#granted.get(run);
    if (newest === undefined || (newest.epoch === epoch && newest.worker === worker)) return;
    this.violate(`${method} of ${worker} was taken at epoch ${epoch} of ${run}, which is at ${newest.epoch}`);
  }

  /** What the events say is held against what runs at this moment. */
  reported(run: string, events: readonly AgentEvent[]): void {
    for (const { body } of events) {
      if (body.type === "step.finished" && body.state !== "failed" && body.state !== "cancelled")
        this.#mustNotRun(run, body.stepRun, `it was reported as ${body.state}`);
      if (body.type === "run.finished") this.#mustNotRun(run, null, `the run was reported as ${body.state}`);
    }
  }

  #mustNotRun(run: string, stepRun: string | null, why: string): void {
    const epoch = this.#granted.get(run)?.epoch;
    const still = this.#options.ledger
      .running(run)
      .find((one) => one.epoch === epoch && stepRun === (stepRun && one.stepRun));
    if (still !== undefined) this.violate(`${describe(still)} runs although ${why}`);
  }

  /** An agent is told that what it says cannot be: it, or the server, has a defect. */
  refused(method: string, error: BerthError): void {
    if (["conflict", "internal", "digest_mismatch"].includes(error.code))
      this.violate(`${method} was refused: ${error.code}: ${error.message}`);
  }

  /** The process of an agent heard that this lease is not its own. */
  lost(machine: Machine, lease: { readonly run: string; readonly epoch: number }): void {
    const { scheduler, ledger } = this.#options;
    const { process } = machine;
    const key = `${machine.name} ${lease.run} ${lease.epoch}`;
    if (!this.#heard.has(key)) this.#heard.set(key, scheduler.nowMs);
    scheduler.schedule(
      this.#fencingMaxMs(machine.platform),
      () => {
        const { refusedAtMs } = machine.platform;
        if (machine.process !== process || refusedAtMs > scheduler.nowMs - 2 * FENCING_MAX_MS) return;
        for (const entry of ledger.running(lease.run))
          if (entry.epoch === lease.epoch && entry.machine === machine.name)
            this.violate(
              `${describe(entry)} still runs ${FENCING_MAX_MS} ms after its agent heard that the lease is lost`,
            );
      },
      "outside",
    );
  }

  /** Nobody says that it holds what it has heard to be lost. */
  claimed(machine: Machine, held: readonly { readonly run: string; readonly epoch: number }[]): void {
    for (const { run, epoch } of held) {
      const lostAtMs = this.#heard.get(`${machine.name} ${run} ${epoch}`);
      // A power cut may take the note of it.
      if (lostAtMs === undefined || machine.platform.lostMoments) continue;
      this.violate(`${machine.name} holds epoch ${epoch} of ${run} although it has heard that the lease is lost`);
    }
  }

  /** A step's user code is at its end, or was brought to it. */
  ended({ run, stepRun, startedAtMs, machine: name, ...entry }: LedgerEntry): void {
    const { scheduler, machines, plan } = this.#options;
    const { answeredAtMs, platform } = machines.find((one) => one.name === name)!;
    const limitMs = plan(run).steps.find((step) => step.name === stepRun.split("[")[0])!.resources.timeoutMs;
    const isWatched = answeredAtMs !== null && answeredAtMs <= startedAtMs && platform.refusedAtMs < startedAtMs;
    if (limitMs === null || !isWatched || scheduler.nowMs - startedAtMs <= limitMs + this.#fencingMaxMs(platform))
      return;
    this.violate(
      `${describe({ ...entry, run, stepRun, startedAtMs, machine: name })} ran past its limit of ${limitMs} ms`,
    );
  }

  /** Slow is the platform, too. */
  #fencingMaxMs({ wayMaxMs }: PlatformState): number {
    return FENCING_MAX_MS + CALLS_MAX * 2 * wayMaxMs;
  }

  /** The process of an agent heard that it does not speak for its worker any more: nothing of it may run on. */
  replaced(machine: Machine): void {
    const { scheduler, ledger } = this.#options;
    const { process } = machine;
    const running = ledger.entries.filter((entry) => entry.machine === machine.name && entry.endedAtMs === null);
    const look = () => {
      const { refusedAtMs } = machine.platform;
      if (machine.process !== process || refusedAtMs > scheduler.nowMs - 2 * FENCING_MAX_MS) return;
      for (const entry of running)
        if (entry.endedAtMs === null)
          this.violate(`${describe(entry)} still runs ${FENCING_MAX_MS} ms after its agent heard of a newer process`);
    };
    scheduler.schedule(this.#fencingMaxMs(machine.platform), look, "outside");
  }

  /** Terminal states and committed versions stay as they are. */
  async look(run: string): Promise<RunView> {
    const view = await this.#options.api().view(run);
    const ended = this.#ended.get(run);
    if (ended !== undefined && ended !== view.state) this.violate(`${run} was ${ended} and is ${view.state}`);
    if (isTerminal(RUN_TRANSITIONS, view.state)) this.#ended.set(run, view.state);
    for (const { stepRun, name, content } of view.versions) {
      const key = `${run} ${stepRun} ${name}`;
      const before = this.#committed.get(key);
      if (before !== undefined && before !== content.digest) this.violate(`the committed ${key} changed`);
      this.#committed.set(key, content.digest);
    }
    for (const { key, state } of view.stepRuns) {
      const id = `${run} ${key}`;
      const before = this.#ended.get(id);
      if (before !== undefined && before !== state) this.violate(`${id} was ${before} and is ${state}`);
      if (isTerminal(STEP_TRANSITIONS, state)) this.#ended.set(id, state);
    }
    return view;
  }

  /** Everything, once nothing is under way any more. */
  async final(runs: readonly string[]): Promise<void> {
    const { machines } = this.#options;
    const views = new Map<string, RunView>();
    for (const run of runs) views.set(run, await this.look(run));
    for (const view of views.values()) this.#judgeRun(view, views);
    for (const machine of machines) {
      // An agent may ask for what it does not know that it removed: it died before it wrote that down.
      const misuses = machine.platform.lostMoments
        ? []
        : machine.backend.misuses.filter((one) => !one.startsWith("logs of"));
      for (const misuse of misuses) this.violate(`${machine.name}: the platform was misused: ${misuse}`);
      for (const left of machine.leftOvers()) this.violate(`${machine.name}: left behind: ${left}`);
    }
  }

  #judgeRun(view: RunView, views: ReadonlyMap<string, RunView>): void {
    if (!isTerminal(RUN_TRANSITIONS, view.state)) this.violate(`${view.id} is still ${view.state}`);
    for (const { key, state } of view.stepRuns)
      if (!isTerminal(STEP_TRANSITIONS, state)) this.violate(`${view.id} ended, its ${key} is still ${state}`);
    for (const attempt of view.attempts)
      if (attempt.state === "running") this.violate(`${view.id} ended, an attempt of ${attempt.stepRun} still runs`);
    this.#judgeEvents(view);
    for (const early of saidTooEarly(this.#options.plan(view.id), view))
      this.violate(`${view.id}: too early: ${early}`);
    this.#judgeSuccesses(view);
    for (const version of view.versions) this.#judgeVersion(view, version, views);
    this.#judgeLogs(view);
  }

  /** Numbered without gaps, and each end said once. */
  #judgeEvents({ id, events }: RunView): void {
    for (const [index, { seq }] of events.entries())
      if (seq !== index + 1) this.violate(`event ${index + 1} of ${id} has the number ${seq}`);
    const said = new Set<string>();
    for (const { body } of events) {
      const ends =
        body.type === "step.finished" || body.type === "step.cached" || body.type === "run.finished"
          ? body.type === "run.finished"
            ? "run"
            : body.stepRun
          : body.type === "attempt.finished" && body.stepState !== null
            ? body.stepRun
            : null;
      const once = ends ?? ("attempt" in body ? `${body.type} ${body.stepRun} ${body.attempt}` : null);
      if (once === null) continue;
      if (said.has(once)) this.violate(`${id}: ${body.type} of ${once} is there twice`);
      said.add(once);
    }
  }

  /** A step run that succeeded did so by one attempt, which really exited with 0. */
  #judgeSuccesses({ id, attempts, stepRuns }: RunView): void {
    const isBatch = new Set(stepRuns.map(({ parent }) => parent));
    for (const { key, state, takenFrom } of stepRuns) {
      const good = attempts.filter((attempt) => attempt.stepRun === key && attempt.state === "succeeded");
      const wanted = state === "succeeded" && takenFrom === null && !isBatch.has(key) ? 1 : 0;
      const isEmptyBatch = state === "succeeded" && attempts.every(({ stepRun }) => stepRun !== key);
      if (good.length !== wanted && !isEmptyBatch)
        this.violate(`${key} of ${id} is ${state} with ${good.length} attempts that succeeded`);
      for (const attempt of good) {
        const real = this.#options.ledger.of(attempt, id).filter(({ machine }) => this.#isAt(machine, attempt.worker));
        if (!real.some(({ exit }) => exit === 0))
          this.violate(`${key} of ${id} succeeded without having exited with 0`);
      }
    }
  }

  #isAt(machine: string, worker: string): boolean {
    return this.#options.machines.some(({ name, workerId }) => name === machine && workerId === worker);
  }

  /** The bytes are those of the attempt that committed, made from what is committed. */
  #judgeVersion(view: RunView, version: VersionView, views: ReadonlyMap<string, RunView>): void {
    const { stepRun, name, attempt, content, bytes } = version;
    const what = `${stepRun}/${name} of ${view.id}`;
    if (createHash("sha256").update(bytes).digest("hex") !== content.digest) this.violate(`${what} has other bytes`);
    if (name === "flag") return;
    const [first] = bytes.toString().split("\n");
    const made = JSON.parse(first!.slice(0, first!.lastIndexOf("}") + 1)) as Provenance;
    const row = view.attempts.find((one) => one.stepRun === stepRun && one.attempt === attempt);
    if (made.stepRun !== stepRun || made.attempt !== attempt || made.epoch !== row?.epoch)
      this.violate(`${what} was made by ${made.stepRun} #${made.attempt} at epoch ${made.epoch}, not by the one named`);
    const known = [...views.values()].flatMap((one) => one.versions);
    const digests = new Set([...view.versions, ...known].map((one) => one.content.digest));
    for (const [input, read] of Object.entries(made.inputs))
      for (const digest of read)
        if (!digests.has(digest)) this.violate(`${what} was made from an input "${input}" that is not committed`);
    const { share } = made;
    if (share !== null && !view.versions.some((one) => one.bytes.includes(share.trimEnd())))
      this.violate(`${what} was made from a share of rows that are not committed`);
  }

  /** Nobody is stopped by a time limit before it has passed. */
  #judgeLimit({ events }: RunView, entry: LedgerEntry): void {
    const { stepRun, attempt, startedAtMs, endedAtMs } = entry;
    const end = events.find(
      ({ body }) => body.type === "attempt.finished" && body.stepRun === stepRun && body.attempt === attempt,
    )?.body;
    if (end?.type !== "attempt.finished" || end.fault?.code !== "deadline-run") return;
    const step = this.#options.plan(entry.run).steps.find(({ name }) => name === stepRun.split("[")[0])!;
    const ranMs = (endedAtMs ?? this.#options.scheduler.nowMs) - startedAtMs;
    if (ranMs < step.resources.timeoutMs! - ROUNDING_MS)
      this.violate(`${describe(entry)} was stopped by its limit after ${ranMs} ms`);
  }

  /** What a step printed and reported is there, once and in order; all of it where the run came to its own end. */
  #judgeLogs(view: RunView): void {
    const isWhole =
      view.events.some(({ body }) => body.type === "run.finished" && "fault" in body) && view.state !== "cancelled";
    for (const attempt of view.attempts) {
      const entries = this.#options.ledger.of(attempt, view.id);
      const [entry] = entries;
      // One that was begun anew after a power cut has a log of both.
      if (entry === undefined || entries.length > 1) continue;
      this.#judgeLimit(view, entry);
      const { stepRun, attempt: number, epoch } = attempt;
      const stored = view.logs.get(logKey(epoch, stepRun, number, "stdout")) ?? "";
      if (!entry.printed.startsWith(stored)) this.violate(`the log of ${describe(entry)} is not what it printed`);
      const mustBeWhole = isWhole && !entry.forgotten && attempt.state === "succeeded" && epoch === view.epoch;
      if (mustBeWhole && stored !== entry.printed) this.violate(`the log of ${describe(entry)} is not whole`);
      const metrics = view.metrics.get(metricKey(epoch, stepRun, number)) ?? [];
      const [said, kept] = [entry.metrics.join(", "), metrics.join(", ")];
      if (!said.startsWith(kept)) this.violate(`${describe(entry)} reported ${said}, not ${kept}`);
      if (mustBeWhole && kept !== said)
        this.violate(`of the metrics ${said} of ${describe(entry)} there is only ${kept}`);
    }
  }
}
