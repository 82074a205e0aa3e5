import type { StepRunSpec } from "../../src/pipeline/step-runs.ts";
import { initialStepRuns } from "../../src/pipeline/step-runs.ts";
import type { AttemptFaults, LeaseRef, PriorStepRun } from "../../src/protocol/agent-api.ts";
import type { Content } from "../../src/protocol/artifacts.ts";
import type { CancelFacts } from "../../src/protocol/cancel.ts";
import type { AgentEventBody, RunEvent } from "../../src/protocol/events.ts";
import { type Fault, fault } from "../../src/protocol/faults.ts";
import type { Plan } from "../../src/protocol/plan.ts";
import type { AttemptState, RunState } from "../../src/protocol/states.ts";
import type { StepRunRow } from "../../src/server/store/step-runs.ts";

export interface AttemptRecord {
  readonly stepRun: string;
  readonly attempt: number;
  readonly epoch: number;
  readonly worker: string;
  readonly startedAtMs: number;
  readonly timeoutMs: number | null;
  state: AttemptState;
  fault: Fault | null;
}

export interface Version {
  readonly stepRun: string;
  readonly name: string;
  readonly attempt: number;
  readonly content: Content;
}

/** What tables hold of one run, and the changes of it that more than one decision makes. Copied to change it as a whole. */
export class MemoryRun {
  readonly id: string;
  readonly number: number;
  readonly pipeline: string;
  readonly plan: Plan;
  readonly createdAtMs: number;
  state: RunState = "queued";
  epoch = 0;
  worker: string | null = null;
  agentSeq = 0;
  leaseExpiresAtMs: number | null = null;
  startedAtMs: number | null = null;
  finishedAtMs: number | null = null;
  cancel: (CancelFacts & { readonly atMs: number }) | null = null;
  fault: Fault | null = null;
  leases: readonly { readonly epoch: number; readonly worker: string; readonly grantedAtMs: number }[] = [];
  events: readonly Pick<RunEvent, "seq" | "body">[] = [];
  stepRuns: ReadonlyMap<string, StepRunRow>;
  takenFrom: ReadonlyMap<string, string> = new Map();
  attempts: readonly AttemptRecord[] = [];
  versions: readonly Version[] = [];
  /** By `epoch stepRun attempt stream`. */
  readonly logs = new Map<string, Buffer>();
  /** By `epoch stepRun attempt`, and by number. */
  readonly metrics = new Map<string, Map<number, number>>();

  constructor(made: { id: string; number: number; pipeline: string; plan: Plan; createdAtMs: number }) {
    this.id = made.id;
    this.number = made.number;
    this.pipeline = made.pipeline;
    this.plan = made.plan;
    this.createdAtMs = made.createdAtMs;
    this.stepRuns = new Map(initialStepRuns(made.plan).map((spec) => [spec.key, pendingRow(spec)]));
  }

  get isActive(): boolean {
    return this.state === "running" || this.state === "cancelling";
  }

  get isEnded(): boolean {
    return this.state !== "queued" && !this.isActive;
  }

  /** The cancel that its holder has to hear of. */
  get cancelFacts(): CancelFacts | null {
    if (this.state !== "cancelling" || this.cancel === null) return null;
    const { by, reason, code } = this.cancel;
    return { by, reason, code };
  }

  isHeldBy(worker: string, { run, epoch }: LeaseRef): boolean {
    return this.id === run && this.worker === worker && this.epoch === epoch;
  }

  append(...bodies: readonly RunEvent["body"][]): void {
    this.events = [...this.events, ...bodies.map((body, index) => ({ seq: this.events.length + index + 1, body }))];
  }

  change(key: string, change: Partial<StepRunRow>): void {
    this.stepRuns = new Map(this.stepRuns).set(key, { ...this.stepRuns.get(key)!, ...change });
  }

  loseRunningAttempts(why: Fault): void {
    this.attempts = this.attempts.map((attempt) =>
      attempt.state === "running" ? { ...attempt, state: "lost", fault: why } : attempt,
    );
    for (const row of this.stepRuns.values())
      if (row.attemptState === "running") this.change(row.key, { attemptState: "lost" });
  }

  /** See server/scheduling/close-run.ts. */
  close(state: RunState): void {
    if (state === "succeeded") return;
    this.loseRunningAttempts(fault("vanished", "The run ended before the end of this attempt was reported."));
    const pending = state === "cancelled" ? "cancelled" : "skipped";
    for (const { key, state: before } of this.stepRuns.values()) {
      if (before === "pending") this.change(key, { state: pending });
      if (before === "running") this.change(key, { state: "cancelled" });
    }
  }

  /** What ran waits again. A batch that was split stays as it is. */
  resetRunning(): void {
    for (const { key, state, items } of this.stepRuns.values())
      if (state === "running" && items === null) this.change(key, { state: "pending" });
  }

  outputsOf(stepRun: string): Record<string, Content> {
    const made = this.versions.filter((version) => version.stepRun === stepRun);
    return Object.fromEntries(made.map(({ name, content }) => [name, content]));
  }

  faultsOf(stepRun: string): AttemptFaults {
    const bad = this.attempts.filter((one) => one.stepRun === stepRun && ["failed", "lost"].includes(one.state));
    const byPlatform = bad.filter(({ state, fault: why }) => state === "lost" || why?.class === "infrastructure");
    const oom = bad.filter(({ fault: why }) => why?.class === "oom").length;
    return { own: bad.length - byPlatform.length, oom, infrastructure: byPlatform.length };
  }

  /** See server/store/prior.ts; `outputs` are those of a step run that another run made. */
  prior(outputs: (run: string, stepRun: string) => Record<string, Content>): PriorStepRun[] {
    return [...this.stepRuns.values()]
      .filter(({ state, attempts, items }) => state !== "pending" || attempts > 0 || items !== null)
      .map(({ key, state, attempts, items, fault: why }) => ({
        ...{ stepRun: key, state, attempts, items, faults: this.faultsOf(key) },
        byCondition: why?.code === "condition",
        outputs: outputs(this.takenFrom.get(key) ?? this.id, key),
      }));
  }

  copy(): MemoryRun {
    return Object.assign(Object.create(MemoryRun.prototype), this);
  }
}

export function pendingRow({ key, step, position, matrix, item, parent }: Omit<StepRunSpec, "isBatch">): StepRunRow {
  const progress = { items: null, attempts: 0, fault: null, startedAt: null, finishedAt: null, attemptState: null };
  return { ...{ key, step, position, matrix, item, parent }, ...progress, state: "pending" };
}

export type Finished = Extract<AgentEventBody, { type: "attempt.finished" }>;
