import { readFile } from "node:fs/promises";
import { evaluateCondition, READ_MAX_BYTES } from "../pipeline/condition.ts";
import type { RunGraphs } from "../pipeline/run-graphs.ts";
import type { StepRunSpec } from "../pipeline/step-runs.ts";
import type { Content } from "../protocol/artifacts.ts";
import { type Fault, fault } from "../protocol/faults.ts";
import type { Condition, Params, Plan } from "../protocol/plan.ts";
import type { BlobSource } from "../runtime/attempt-work.ts";

export interface StepConditionsOptions {
  readonly plan: Pick<Plan, "steps">;
  readonly params: Params;
  readonly graphs: RunGraphs;
  /** By step run. */
  readonly outputs: ReadonlyMap<string, Readonly<Record<string, Content>>>;
  readonly source: BlobSource;
  /** How the run ended so far, for the steps of later phases. */
  readonly runState: () => string;
}

/** Whether steps with a condition are to run. */
export class StepConditions {
  readonly #options: StepConditionsOptions;
  readonly #steps: ReadonlyMap<string, Plan["steps"][number]>;

  constructor(options: StepConditionsOptions) {
    this.#options = options;
    this.#steps = new Map(options.plan.steps.map((step) => [step.name, step]));
  }

  /** Whether anything is to be decided for a step run: for a batch it is once, for all of its items. */
  applies({ step, item }: StepRunSpec): boolean {
    return item === null && this.#steps.get(step)!.when !== null;
  }

  /** A fault when it cannot be said. */
  async isMet({ step, matrix }: StepRunSpec, signal: AbortSignal): Promise<boolean | Fault> {
    const when = this.#steps.get(step)!.when!;
    try {
      return evaluateCondition(when.expression, {
        params: this.#options.params,
        matrix: matrix ?? {},
        steps: await this.#stepValues(when, signal),
        run: { state: this.#options.runState() },
      });
    } catch (error) {
      return fault("condition-invalid", `The condition of the step cannot be decided: ${(error as Error).message}.`, {
        evidence: when.expression,
      });
    }
  }

  async #stepValues({ steps, reads }: Condition, signal: AbortSignal) {
    const values: Record<string, { state: string; outputs: Record<string, unknown> }> = {};
    for (const name of new Set([...steps, ...reads.map(({ step }) => step)])) {
      values[name] = { state: this.#options.graphs.stateOfStep(name), outputs: {} };
    }
    for (const { step, artifact } of reads) {
      const [producer] = this.#options.graphs.producers(step);
      const content = this.#options.outputs.get(producer!.key)?.[artifact];
      // An output that was not written is one that has() does not find.
      if (content !== undefined) values[step]!.outputs[artifact] = await this.#read(step, artifact, content, signal);
    }
    return values;
  }

  async #read(step: string, artifact: string, content: Content, signal: AbortSignal): Promise<unknown> {
    const name = `${step}.${artifact}`;
    if (content.kind !== "file") throw new Error(`${name} is a folder`);
    if (content.size > READ_MAX_BYTES) {
      throw new Error(`${name} has ${content.size} bytes, and a condition reads at most ${READ_MAX_BYTES}`);
    }
    const path = await this.#options.source.ensure(content.digest, content.size, signal);
    const text = await readFile(path, "utf8");
    if (this.#steps.get(step)!.outputs[artifact]!.type !== "json") return text.replace(/\r?\n$/, "");
    try {
      return JSON.parse(text);
    } catch {
      throw new Error(`${name} is not valid JSON`);
    }
  }
}
