import { BackendError, type Handle, type Outcome } from "../backends/execution-backend.ts";
import type { Content } from "../protocol/artifacts.ts";
import type { Phases } from "../protocol/events.ts";
import { fault } from "../protocol/faults.ts";
import { type MaskText, maskFault, maskOutput } from "../protocol/mask-events.ts";
import type { OutputNotes } from "../protocol/output-notes.ts";
import type { OutputPlan } from "../protocol/plan.ts";
import type { TreeSize } from "../std/tree-size.ts";
import { sealedForMs } from "./attempt-folder.ts";
import type { AttemptResult, AttemptWork, RuntimeContext, StopReason } from "./attempt-work.ts";
import { collectOutputs } from "./collect-outputs.ts";
import type { WatchedDisk } from "./disk-watch.ts";
import { faultOfError } from "./fault-of-error.ts";
import { joinNoSpace } from "./join-no-space.ts";
import { joinErrorFile, joinOutputFaults, outcomeWithout } from "./join-outcome.ts";
import { takePrepared } from "./prepare-attempt.ts";
import { readNotes } from "./read-notes.ts";
import { retryBackend } from "./retry-backend.ts";
import { AttemptDetached, cancelToEnd, reasonOf, waitToEnd } from "./run-to-end.ts";
import { stageAttempt } from "./stage-attempt.ts";
import { takeNotes } from "./take-notes.ts";
import { endWaiterOf } from "./wait-for-end.ts";

/** A cancel waits for the outputs that are kept in any case, but not for ever. */
const COLLECT_CANCELLED_TIMEOUT_MS = 60_000;

export interface AttemptHooks {
  onPhase(phase: Phase): void;
  /** The object exists, so its logs can be read. */
  onSubmitted?(handle: Handle): void;
}

export type Phase = "inputs" | "running" | "outputs";

/**
 * Runs one attempt from its inputs to its collected outputs. Everything that can become of it is a result, faults of
 * the worker included; only AttemptDetached is thrown, when the step was left running because the agent ends.
 *
 * Called again with the same work, after a crash too, it takes over what it finds: inputs are not touched once a step
 * may be reading them, `submit` adopts, and outputs are collected again to the same contents.
 */
export async function runAttempt(
  context: RuntimeContext,
  work: AttemptWork,
  hooks: AttemptHooks,
  stop: AbortSignal,
): Promise<AttemptResult> {
  using attempt = new AttemptRun(context, work, hooks, stop);
  hooks.onPhase("inputs");
  await attempt.during("inputs", () => attempt.stage());
  hooks.onPhase("running");
  await attempt.during("running", () => attempt.run());
  hooks.onPhase("outputs");
  await attempt.during("outputs", () => attempt.collect());
  return attempt.result();
}

/** The state of one attempt on its way. Each phase is skipped when an earlier one already settled the outcome. */
class AttemptRun implements Disposable {
  readonly #context: RuntimeContext;
  readonly #work: AttemptWork;
  readonly #hooks: AttemptHooks;
  readonly #stop: AbortSignal;
  /** Entered before the submit, so that no hint about the end can be missed. */
  readonly #visit: Disposable;
  readonly #phases: { -readonly [Name in keyof Phases]: Phases[Name] } = {};
  /** Whether nothing of this attempt can have run before: the folder was made by this process. */
  #fresh = false;
  /** Since an earlier process let it go: the start of the user code that its time is told from. */
  #ranBeforeMs = 0;
  #handle: Handle | null = null;
  #outcome: Outcome | null = null;
  #outputs: Readonly<Record<string, Content>> = {};
  #notes: Readonly<Record<string, OutputNotes>> = {};

  constructor(context: RuntimeContext, work: AttemptWork, hooks: AttemptHooks, stop: AbortSignal) {
    this.#context = context;
    this.#work = work;
    this.#hooks = hooks;
    this.#stop = stop;
    this.#visit = endWaiterOf(context.session).enter();
  }

  [Symbol.dispose](): void {
    this.#visit[Symbol.dispose]();
  }

  /** Runs a phase, measures it, and makes of its failure an outcome. */
  async during(phase: Phase, act: () => Promise<void>): Promise<void> {
    const startedAt = performance.now();
    try {
      await act();
    } catch (error) {
      if (error instanceof AttemptDetached) throw error;
      this.#outcome = this.#stop.aborted ? await this.#stopped(phase) : this.#failed(error, phase);
    }
    this.#phases[phase] = performance.now() - startedAt + (phase === "running" ? this.#ranBeforeMs : 0);
  }

  async stage(): Promise<void> {
    const wasPrepared = takePrepared(this.#context.session, this.#work.spec.folder);
    const isNew = await stageAttempt(this.#context, this.#work, this.#stop);
    this.#fresh = wasPrepared || isNew;
    if (!this.#fresh) this.#ranBeforeMs = sealedForMs(this.#work.spec.folder);
  }

  async run(): Promise<void> {
    if (this.#outcome !== null) return;
    const { session } = this.#context;
    const { ref, spec } = this.#work;
    this.#stop.throwIfAborted();
    const handle = await retryBackend(() => session.submit(ref, spec), this.#stop);
    this.#handle = handle;
    this.#hooks.onSubmitted?.(handle);
    using disk = this.#watchDisk(handle);
    const ending = { session, work: this.#work, handle, stop: this.#stop, excess: disk?.excess };
    const outcome = joinErrorFile(await waitToEnd(ending, this.#fresh), spec.folder);
    this.#outcome = withDisk(joinNoSpace(outcome, spec.folder), disk?.most ?? null);
  }

  #watchDisk(handle: Handle): WatchedDisk | null {
    const { session, disk, capabilities } = this.#context;
    if (disk === undefined || !capabilities.limits.disk) return null;
    return disk.watch(session, handle, this.#work.diskBytes ?? null);
  }

  async collect(): Promise<void> {
    if (!this.#isKept(this.#outcome!)) return;
    const said = await readNotes(this.#work.spec.folder, this.#work.outputs, this.#context.mask);
    const outcome = { ...this.#outcome!, warnings: [...this.#outcome!.warnings, ...said.warnings] };
    this.#outcome = outcome;
    const declared = declaredAfter(outcome, this.#work.outputs);
    if (declared === null) return;
    // What a step is to leave behind in any case is taken after a cancel too, which is why that does not stop it.
    const signal = outcome.state === "cancelled" ? AbortSignal.timeout(COLLECT_CANCELLED_TIMEOUT_MS) : this.#stop;
    signal.throwIfAborted();
    const { cache, limits } = this.#context;
    const collected = await collectOutputs(this.#work.spec.folder, declared, { cache, limits, signal });
    this.#outcome = joinOutputFaults(outcome, collected.faults);
    const kept = this.#outcome.state === "succeeded" ? collected.outputs : alwaysOf(collected.outputs, declared);
    const noted = takeNotes(kept, said.notes);
    this.#outputs = noted.outputs;
    this.#notes = noted.notes;
    this.#outcome = {
      ...this.#outcome,
      warnings: [...this.#outcome.warnings, ...collected.warnings, ...noted.warnings],
    };
  }

  /** Whether there may be outputs that somebody wants: not of a step that never ran, nor for a lease that is lost. */
  #isKept({ state }: Outcome): boolean {
    if (state !== "cancelled") return state !== "lost";
    return this.#handle !== null && this.#stop.aborted && reasonOf(this.#stop) === "user";
  }

  result(): AttemptResult {
    const { mask } = this.#context;
    const outputs: Record<string, Content> = {};
    const notes: Record<string, OutputNotes> = {};
    for (const [name, content] of Object.entries(this.#outputs)) {
      const { content: masked, ...said } = maskOutput({ content, ...this.#notes[name] }, mask);
      outputs[name] = masked;
      if (Object.keys(said).length > 0) notes[name] = said;
    }
    return {
      outcome: maskOutcome(this.#explained(this.#outcome!), mask),
      outputs,
      ...(Object.keys(notes).length === 0 ? {} : { notes }),
      phases: this.#phases,
      handle: this.#handle,
    };
  }

  /** The platform only knows that the step was stopped; whoever stopped it knows why. */
  #explained(outcome: Outcome): Outcome {
    const why = this.#stop.aborted ? (this.#stop.reason as StopReason) : null;
    if (outcome.state !== "cancelled" || why?.kind !== "cancel" || why.fault === null) return outcome;
    return { ...outcome, fault: why.fault };
  }

  /** The attempt is to stop; it may be somewhere between not yet made and already ended. */
  async #stopped(phase: Phase): Promise<Outcome> {
    const reason = reasonOf(this.#stop);
    const why = fault("cancelled", CANCELLED[phase]);
    if (phase === "outputs") return { ...this.#outcome!, state: "cancelled", fault: why };
    const { session } = this.#context;
    const { ref } = this.#work;
    try {
      // A folder that is not new may belong to an object that was prepared, or let go by an earlier process.
      const isKnown = this.#handle !== null;
      this.#handle ??= await retryBackend(() => session.attach(ref));
      if (this.#handle !== null) {
        const ending = { session, work: this.#work, handle: this.#handle, stop: this.#stop };
        const outcome = await cancelToEnd(ending, reason);
        // One that an earlier process submitted has logs that nobody follows yet; one that never ran has none.
        const hasRun = outcome.exitCode !== null || outcome.signal !== null;
        if (!isKnown && hasRun) this.#hooks.onSubmitted?.(this.#handle);
        return outcome;
      }
    } catch (error) {
      if (error instanceof AttemptDetached) throw error;
      return outcomeWithout("lost", faultOfError(error, "stopping the step"));
    }
    return outcomeWithout("cancelled", why);
  }

  #failed(error: unknown, phase: Phase): Outcome {
    const why = faultOfError(error, ATTEMPTED[phase]);
    if (phase === "outputs") return { ...this.#outcome!, state: "failed", fault: why };
    // Once it may have been submitted, not knowing how it ended is all that can be said.
    const mayRun = this.#handle !== null || (error instanceof BackendError && error.retryable);
    return outcomeWithout(mayRun ? "lost" : "failed", why);
  }
}

function withDisk(outcome: Outcome, most: TreeSize | null): Outcome {
  return most === null ? outcome : { ...outcome, stats: { ...outcome.stats, diskBytes: most.bytes } };
}

function maskOutcome(outcome: Outcome, mask: MaskText): Outcome {
  return {
    ...outcome,
    fault: outcome.fault === null ? null : maskFault(outcome.fault, mask),
    warnings: outcome.warnings.map((warning) => mask(warning)),
  };
}

const CANCELLED = {
  inputs: "The run was cancelled before this step began.",
  running: "The run was cancelled before this step began.",
  outputs: "The run was cancelled before the outputs of this step were taken.",
} as const;

const ATTEMPTED = {
  inputs: "preparing the inputs",
  running: "running the step",
  outputs: "collecting the outputs",
} as const;

/** What is collected after this outcome; null for nothing. */
function declaredAfter(outcome: Outcome, outputs: AttemptWork["outputs"]): Record<string, OutputPlan> | null {
  if (outcome.state === "succeeded") return outputs;
  const always = Object.entries(outputs).filter(([, plan]) => plan.when === "always");
  if (always.length === 0) return null;
  // What such a step did not come round to write is no news.
  return Object.fromEntries(always.map(([name, plan]) => [name, { ...plan, optional: true }]));
}

function alwaysOf(collected: Readonly<Record<string, Content>>, declared: Readonly<Record<string, OutputPlan>>) {
  return Object.fromEntries(Object.entries(collected).filter(([name]) => declared[name]!.when === "always"));
}
