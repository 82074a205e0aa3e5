import { itemKey, type StepRunIdentity } from "../pipeline/step-runs.ts";
import type { ConsumedInput, Content } from "../protocol/artifacts.ts";
import type { InputPlan, StepPlan } from "../protocol/plan.ts";
import type { BatchSlice, StagedInput } from "./attempt-work.ts";

/** An output that a consumer reads, and the step run that made it. */
export interface Read {
  readonly producer: Pick<StepRunIdentity, "key" | "matrix" | "item">;
  readonly content: Content;
}

/** What there is of an output, in the order of its step runs. */
export type Reads = (step: string, artifact: string) => readonly Read[];

/** What is put in place for a step run; `share` is its part of a batch. */
export function stagedInputs(
  { inputs }: Pick<StepPlan, "inputs">,
  reads: Reads,
  share: { readonly content: Content; readonly slice: BatchSlice } | null,
): StagedInput[] {
  const staged = Object.entries(inputs).flatMap(([name, input]) => stagedInput(name, input, reads));
  return share === null ? staged : [...staged, { kind: "batch-item", name: "batch", ...share }];
}

/** The same as lineage has it. */
export function consumedInputs({ inputs, batch }: Pick<StepPlan, "inputs" | "batch">, reads: Reads): ConsumedInput[] {
  const named = [...Object.entries(inputs), ...(batch === null ? [] : [["batch", batch] as const])];
  return named.flatMap(([name, { step, artifact }]) =>
    reads(step, artifact).map(({ producer, content }) => ({
      name,
      stepRun: producer.key,
      artifact,
      digest: content.digest,
    })),
  );
}

function stagedInput(name: string, { step, artifact, gather }: InputPlan, reads: Reads): StagedInput[] {
  const read = reads(step, artifact);
  if (gather !== "single") {
    const items = read.map(({ producer, content }) => ({ key: itemKey(producer), content }));
    return [{ kind: "gathered", name, gather, items }];
  }
  // An optional output that was not written is an input that is not there.
  return read.slice(0, 1).map(({ content }) => ({ kind: "content", name, content }));
}
