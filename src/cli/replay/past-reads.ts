import type { Content } from "../../protocol/artifacts.ts";
import type { StepPlan } from "../../protocol/plan.ts";
import type { ArtifactVersion, StepRun } from "../../protocol/resources.ts";
import type { Read, Reads } from "../../runtime/step-inputs.ts";
import { listArtifactsOfRun } from "../api/artifacts.ts";
import type { ApiClient } from "../api/client.ts";
import { listStepRuns } from "../api/runs.ts";
import { CliError } from "../cli-error.ts";
import { EXIT } from "../exit-code.ts";
import { runName } from "../follow/summary.ts";
import type { PastAttempt } from "./find-attempt.ts";

const NAMED_MAX = 20;

/** What one step made in a run. */
export interface Produced {
  readonly plan: StepPlan;
  /** In the order of the run. */
  readonly stepRuns: readonly StepRun[];
  readonly versions: readonly ArtifactVersion[];
}

/**
 * What an attempt read. A step run commits once and a version never changes, and whatever a step reads had ended before
 * it began: so it is what its run has of those steps now.
 */
export async function pastReads(api: ApiClient, past: PastAttempt): Promise<Reads> {
  const { run, plan, step } = past;
  const read = [...Object.values(step.inputs), ...(step.batch === null ? [] : [step.batch])];
  const produced = new Map<string, Produced>();
  for (const name of new Set(read.map((input) => input.step))) {
    const [stepRuns, versions] = await Promise.all([
      listStepRuns(api, run.id, { step: name }),
      listArtifactsOfRun(api, run.id, { step: name }),
    ]);
    produced.set(name, { plan: plan.steps.find((one) => one.name === name)!, stepRuns, versions });
  }
  const gone = read.flatMap((input) => goneOf(produced.get(input.step)!, input.artifact));
  if (gone.length > 0) throw expired(past, gone, [...new Set(read.map((input) => input.step))]);
  return (name, artifact) => readsOf(produced.get(name)!, artifact);
}

/** Step runs that made an output, in their order, with what they made. */
export function readsOf({ plan, stepRuns, versions }: Produced, artifact: string): Read[] {
  const byStepRun = new Map(versions.filter(({ name }) => name === artifact).map((one) => [one.stepRun, one]));
  return stepRuns.flatMap((stepRun) => {
    const isWhole = plan.batch !== null && stepRun.item === null;
    const version = isWhole ? undefined : byStepRun.get(stepRun.key);
    return version === undefined ? [] : [{ producer: stepRun, content: contentOf(version) }];
  });
}

/** Outputs that must have been written and are not there: their versions were removed. */
export function goneOf(produced: Produced, artifact: string): string[] {
  const { plan, stepRuns } = produced;
  if (plan.outputs[artifact]?.optional !== false) return [];
  const there = new Set(readsOf(produced, artifact).map(({ producer }) => producer.key));
  return stepRuns
    .filter(({ state, item }) => state === "succeeded" && (plan.batch === null || item !== null))
    .filter(({ key }) => !there.has(key))
    .map(({ key }) => `${key}/${artifact}`);
}

function contentOf({ kind, digest, size, fileName, contentType, fileCount }: ArtifactVersion): Content {
  return { kind, digest, size, fileName, contentType, fileCount };
}

function expired({ run }: PastAttempt, gone: readonly string[], steps: readonly string[]): CliError {
  const more = gone.length - NAMED_MAX;
  const named = `${gone.slice(0, NAMED_MAX).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  return new CliError(`Not all that the attempt read is there any more: ${named}.`, {
    exitCode: EXIT.usage,
    advice: steps.map((step) => `It is made again by: berth restart ${runName(run)} --from ${step}`),
  });
}
