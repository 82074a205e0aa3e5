import { join } from "node:path";
import type { BackendSession } from "../../backends/execution-backend.ts";
import { itemKey } from "../../pipeline/step-runs.ts";
import { buildAttemptWork } from "../../runtime/attempt-spec.ts";
import type { AttemptWork, RuntimeContext } from "../../runtime/attempt-work.ts";
import { splitBatch } from "../../runtime/split-batch.ts";
import { type Reads, stagedInputs } from "../../runtime/step-inputs.ts";
import { unpackSource } from "../../runtime/unpack-source.ts";
import type { ApiClient } from "../api/client.ts";
import { CliError } from "../cli-error.ts";
import type { PastAttempt } from "./find-attempt.ts";
import { pastReads } from "./past-reads.ts";
import { type ReplayImage, type ReplayImageOptions, replayImage } from "./replay-image.ts";
import { REPLAY_SCOPE, type ReplayWorkspace } from "./workspace.ts";

export interface ReplayWorkOptions extends Pick<ReplayImageOptions, "rebuild" | "onLog" | "note" | "signal"> {
  readonly api: ApiClient;
  readonly past: PastAttempt;
  readonly runtime: RuntimeContext;
  readonly session: BackendSession;
  readonly workspace: ReplayWorkspace;
  /** Host path of the folder with the step SDKs. */
  readonly sdk: string;
}

export interface ReplayWork {
  readonly work: AttemptWork;
  readonly image: ReplayImage | null;
}

/** Makes of a past attempt the same work again: everything as it was but for the host's own paths. */
export async function replayWork(options: ReplayWorkOptions): Promise<ReplayWork> {
  const { api, past, runtime, session, workspace, sdk, signal } = options;
  const { run, plan, step, stepRun, attempt } = past;
  const { capabilities, cache } = runtime;
  const reads = await pastReads(api, past);
  const source =
    run.source === null
      ? null
      : await unpackSource(
          await cache.ensure(run.source.digest, run.source.size, signal),
          join(workspace.folder, "source"),
          { signal },
        );
  const environment = plan.environments[step.environment]!;
  const contexts = join(workspace.folder, "contexts");
  const order = { pipeline: plan.name, environment, source, contexts, capabilities };
  const image = await replayImage({ ...options, past, session, order });
  if (step.isolation?.mounts !== undefined)
    options.note(`The mounts ${step.isolation.mounts.join(", ")} are folders of its worker; a replay is given none.`);
  if ((step.resources.gpus ?? 0) > 0) options.note("The step asks for GPUs; a replay is given none.");
  const { share, item } = await shareOf(options, reads);
  const work = buildAttemptWork({
    ...{ plan, step, source, sdk, capabilities, params: run.params, memoryBytes: attempt.memoryBytes },
    stepRun: { key: stepRun.key, matrix: stepRun.matrix, item, attempt: attempt.attempt },
    run: { id: run.id, number: run.number, scope: REPLAY_SCOPE, end: attempt.runEnd },
    image: image?.id ?? null,
    imageDigest: image?.digest ?? null,
    inputs: stagedInputs(step, reads, share),
    folder: workspace.attemptFolder,
    secretsFolder: workspace.secretsFolder,
  });
  return { work, image };
}

/** The part of a batch that the attempt worked on; the same input gives the same parts. */
async function shareOf({ past, runtime, workspace, signal }: ReplayWorkOptions, reads: Reads) {
  const { step, stepRun } = past;
  if (step.batch === null || stepRun.item === null) return { share: null, item: null };
  const { batch } = step;
  const scratch = join(workspace.folder, "batch");
  const split = await splitBatch({
    batch,
    items: reads(batch.step, batch.artifact).map(({ producer, content }) => ({ key: itemKey(producer), content })),
    ...{ cache: runtime.cache, limits: runtime.limits, scratch, signal },
  });
  if (!("slices" in split)) throw new CliError(split.message, { advice: [split.advice] });
  const slice = split.slices[stepRun.item];
  if (slice === undefined) throw new CliError(`The batch of ${stepRun.key} splits into ${split.slices.length} items.`);
  return {
    share: { content: split.content, slice },
    item: { index: stepRun.item, count: split.slices.length },
  };
}
