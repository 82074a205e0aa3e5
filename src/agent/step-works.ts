import { join } from "node:path";
import type { Capabilities } from "../backends/execution-backend.ts";
import { objectName } from "../backends/object-name.ts";
import type { RunGraphs } from "../pipeline/run-graphs.ts";
import { itemKey, type StepRunSpec } from "../pipeline/step-runs.ts";
import type { Assignment } from "../protocol/agent-api.ts";
import type { ConsumedInput, Content } from "../protocol/artifacts.ts";
import type { Fault } from "../protocol/faults.ts";
import type { Phase, StepPlan } from "../protocol/plan.ts";
import { buildAttemptWork } from "../runtime/attempt-spec.ts";
import type { AttemptWork, RuntimeContext, StagedInput } from "../runtime/attempt-work.ts";
import type { Reservation } from "../runtime/reservation.ts";
import { type SplitBatch, splitBatch } from "../runtime/split-batch.ts";
import { consumedInputs, type Read, stagedInputs } from "../runtime/step-inputs.ts";
import type { AgentConfig } from "./config.ts";
import { memoryAfter, type RetryRules } from "./next-attempt.ts";
import { boundWork, memoryMost } from "./policy/bound-work.ts";
import type { WorkerPolicy } from "./policy/worker-policy.ts";
import type { RunEnd } from "./run-end.ts";
import { attemptFolder, runFolder, scopeOf, secretFolder } from "./run-folder.ts";
import type { PreparedImage, RunImages } from "./run-images.ts";
import type { RunLink } from "./run-link.ts";
import { defaultNeed, needOf, type StepNeed, type WorkerShare } from "./step-need.ts";
import type { Tries } from "./step-tries.ts";

/** What attempts are made of, as those see it that run them. */
export interface Works {
  /** Null when an attempt of this step run can start now; a fault when none ever can. */
  ready(stepRun: StepRunSpec): Promise<Fault | null> | Fault | null;
  /** What the next attempt needs of the worker. */
  need(stepRun: StepRunSpec, tries: Pick<Tries, "faults">): StepNeed;
  /**
   * The work of an attempt but for its inputs, which need not be known yet. Without `reserved` nothing is reserved for it
   * so far, which only one that needs no GPU can do with.
   */
  work(stepRun: StepRunSpec, tries: Pick<Tries, "attempt" | "faults">, reserved?: Reservation): AttemptWork;
  rules(stepRun: StepRunSpec): RetryRules;
  inputs(stepRun: StepRunSpec): readonly StagedInput[];
  consumed(stepRun: StepRunSpec): readonly ConsumedInput[];
  /** The step runs of every step that this one needs. */
  needed(stepRun: StepRunSpec): readonly string[];
  /** Into how many items a batch is split. */
  split(batch: StepRunSpec): Promise<number | Fault>;
}

export interface StepWorksOptions {
  readonly home: string;
  readonly installation: string;
  readonly assignment: Assignment;
  readonly graphs: RunGraphs;
  /** By step run. */
  readonly outputs: ReadonlyMap<string, Readonly<Record<string, Content>>>;
  readonly images: RunImages;
  readonly capabilities: Capabilities;
  /** Host path of the folder with the step SDKs. */
  readonly sdk: string;
  readonly config: WorkerShare & Pick<AgentConfig, "graceMs" | "secretsFolder">;
  readonly policy: WorkerPolicy;
  /** Why this worker does not run a step at all; null where it does. */
  readonly refusalOf: (step: StepPlan) => Fault | null;
  /** Attempts that an earlier process made under this lease. */
  readonly attemptsBefore: number;
  readonly limits: RuntimeContext["limits"];
  readonly link: RunLink;
  readonly stopOf: (phase: Phase) => AbortSignal;
  /** How the run ended so far, for the steps of later phases; null before. */
  readonly runEnd: () => RunEnd | null;
}

/** Attempt folders side by side: few enough that those deleted do not slow down those to come; see spread-folders.ts. */
const ATTEMPTS_PER_PART = 64;

/** What the attempts of one run are made of: images, inputs and batch items, by what the steps before produced. */
export class StepWorks implements Works {
  readonly #options: StepWorksOptions;
  readonly #steps: ReadonlyMap<string, StepPlan>;
  /** Attempt folders handed out so far. */
  #folders: number;
  /** By key of the batch. */
  readonly #splits = new Map<string, SplitBatch | Fault | Promise<SplitBatch | Fault>>();

  constructor(options: StepWorksOptions) {
    this.#options = options;
    this.#folders = options.attemptsBefore;
    this.#steps = new Map(options.assignment.plan.steps.map((step) => [step.name, step]));
  }

  ready(stepRun: StepRunSpec): Promise<Fault | null> | Fault | null {
    const { environment, resources } = this.#stepOf(stepRun);
    const refused = this.#options.refusalOf(this.#stepOf(stepRun));
    if (refused !== null) return refused;
    const image = this.#options.images.prepare(environment, resources.imageTimeoutMs);
    const split = stepRun.parent === null ? null : this.#splitOf(stepRun.parent, stepRun);
    if (image instanceof Promise || split instanceof Promise) {
      return Promise.all([image, split]).then(([prepared, known]) => obstacleIn(prepared, known));
    }
    return obstacleIn(image, split);
  }

  need(stepRun: StepRunSpec, { faults }: Pick<Tries, "faults">): StepNeed {
    const memoryBytes = memoryAfter(faults, this.rules(stepRun));
    return needOf(this.#stepOf(stepRun).resources, memoryBytes, defaultNeed(this.#options.config));
  }

  work(
    stepRun: StepRunSpec,
    { attempt, faults }: Pick<Tries, "attempt" | "faults">,
    reserved: Reservation = { ...this.need(stepRun, { faults }), gpus: [] },
  ): AttemptWork {
    const { home, installation, assignment, capabilities, sdk, config } = this.#options;
    const step = this.#stepOf(stepRun);
    const prepared = this.#options.images.prepare(step.environment) as Extract<PreparedImage, { ok: true }>;
    const object = objectName(installation, {
      run: assignment.run,
      scope: scopeOf(assignment),
      stepRun: stepRun.key,
      attempt,
    });
    const part = Math.floor(this.#folders++ / ATTEMPTS_PER_PART);
    const work = buildAttemptWork({
      plan: assignment.plan,
      step,
      stepRun: { key: stepRun.key, matrix: stepRun.matrix, item: this.#itemOf(stepRun), attempt },
      memoryBytes: memoryAfter(faults, this.rules(stepRun)),
      run: { id: assignment.run, number: assignment.number, scope: scopeOf(assignment), end: this.#options.runEnd() },
      params: assignment.params,
      image: prepared.image,
      imageDigest: prepared.digest,
      inputs: [],
      folder: attemptFolder(home, assignment, part, object),
      secretsFolder: secretFolder(home, config, assignment, object),
      source: prepared.source,
      sdk,
      capabilities,
      reserved,
    });
    return boundWork({ ...work, graceMs: config.graceMs }, step, this.#options.policy);
  }

  rules(stepRun: StepRunSpec): RetryRules {
    const { retry, resources } = this.#stepOf(stepRun);
    const { config, policy } = this.#options;
    const memoryMostBytes = Math.min(config.memoryBytes, memoryMost(policy) ?? config.memoryBytes);
    return { policy: retry, memoryBytes: resources.memoryBytes, memoryMostBytes };
  }

  /** What it runs in, by digest where that is known. Of one that is ready. */
  imageOf(stepRun: StepRunSpec): string {
    const prepared = this.#options.images.prepare(this.#stepOf(stepRun).environment);
    return (prepared as Extract<PreparedImage, { ok: true }>).digest ?? "none";
  }

  inputs(stepRun: StepRunSpec): readonly StagedInput[] {
    const split = stepRun.parent === null ? null : (this.#splits.get(stepRun.parent) as SplitBatch);
    const share = split === null ? null : { content: split.content, slice: split.slices[stepRun.item!]! };
    return stagedInputs(this.#stepOf(stepRun), (step, artifact) => this.#reads(step, artifact), share);
  }

  consumed(stepRun: StepRunSpec): readonly ConsumedInput[] {
    return consumedInputs(this.#stepOf(stepRun), (step, artifact) => this.#reads(step, artifact));
  }

  needed(stepRun: StepRunSpec): readonly string[] {
    return this.#stepOf(stepRun).needs.flatMap((need) => this.#options.graphs.producers(need).map(({ key }) => key));
  }

  async split(batch: StepRunSpec): Promise<number | Fault> {
    const split = await this.#splitOf(batch.key, batch);
    return "slices" in split ? split.slices.length : split;
  }

  /** After a restart it is worked out again: the same input gives the same items. */
  #splitOf(
    key: string,
    { step, position }: Pick<StepRunSpec, "step" | "position">,
  ): SplitBatch | Fault | Promise<SplitBatch | Fault> {
    const known = this.#splits.get(key);
    if (known !== undefined) return known;
    const { home, assignment, link, limits, stopOf } = this.#options;
    const { batch, phase } = this.#steps.get(step)!;
    const split = splitBatch({
      batch: batch!,
      items: this.#reads(batch!.step, batch!.artifact).map(({ producer, content }) => ({
        key: itemKey(producer),
        content,
      })),
      cache: link.source,
      limits,
      scratch: join(runFolder(home, assignment), "batches", String(position)),
      signal: stopOf(phase),
    }).then((done) => {
      this.#splits.set(key, done);
      return done;
    });
    this.#splits.set(key, split);
    return split;
  }

  #reads(step: string, artifact: string): Read[] {
    return this.#options.graphs.producers(step).flatMap((producer) => {
      const content = this.#options.outputs.get(producer.key)?.[artifact];
      return content === undefined ? [] : [{ producer, content }];
    });
  }

  #itemOf({ item, parent }: StepRunSpec): { index: number; count: number } | null {
    if (item === null || parent === null) return null;
    return { index: item, count: (this.#splits.get(parent) as SplitBatch).slices.length };
  }

  #stepOf({ step }: StepRunSpec): StepPlan {
    return this.#steps.get(step)!;
  }
}

function obstacleIn(image: PreparedImage, split: SplitBatch | Fault | null): Fault | null {
  if (!image.ok) return image.fault;
  return split === null || "slices" in split ? null : split;
}
