import { createReadStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import { batchFormat, indexBatch, sliceFiles } from "../pipeline/batch.ts";
import { BatchInputError } from "../pipeline/batch-input-error.ts";
import type { Content } from "../protocol/artifacts.ts";
import { type Fault, fault } from "../protocol/faults.ts";
import type { BatchPlan } from "../protocol/plan.ts";
import { removeTree } from "../std/remove-tree.ts";
import type { BatchSlice, BlobSource, GatheredItem, RuntimeContext, StagedInput } from "./attempt-work.ts";
import { collectOutputs } from "./collect-outputs.ts";
import { faultOfError } from "./fault-of-error.ts";
import { readManifest } from "./folder-manifest.ts";
import { stageGathered } from "./stage-gathered.ts";

export interface SplitOrder {
  readonly batch: BatchPlan;
  /** What is split: one content, or several that are gathered first. */
  readonly items: readonly GatheredItem[];
  readonly cache: BlobSource;
  readonly limits: RuntimeContext["limits"];
  /** A folder that this may make and removes again. */
  readonly scratch: string;
  readonly signal: AbortSignal;
}

/** What an item's share is cut from, and every item's share. */
export interface SplitBatch {
  readonly content: Content;
  readonly slices: readonly BatchSlice[];
}

/** Splits a batch's input. The same input always gives the same items, so nothing of it has to be kept. */
export async function splitBatch(order: SplitOrder): Promise<SplitBatch | Fault> {
  try {
    const content = await contentToSplit(order);
    if (content === null) return fault("input-invalid", "The input of the batch was not written by any step run.");
    return { content, slices: await slicesOf(order, content) };
  } catch (error) {
    if (error instanceof BatchInputError) return fault("input-invalid", `The batch cannot be split: ${error.message}.`);
    return faultOfError(error, "splitting the batch");
  }
}

/** Several contents become one: joined, or a folder of them, as the batch gathers. */
async function contentToSplit({ batch, items, cache, limits, scratch, signal }: SplitOrder): Promise<Content | null> {
  if (batch.gather === "single") return items[0]?.content ?? null;
  const fileName = { folder: "batch", lines: "batch.txt", csv: "batch.csv", json: "batch.json" }[batch.gather];
  await removeTree(scratch);
  mkdirSync(join(scratch, "out"), { recursive: true, mode: 0o700 });
  try {
    const gathered: Extract<StagedInput, { kind: "gathered" }> = {
      kind: "gathered",
      name: "batch",
      gather: batch.gather,
      items,
    };
    await stageGathered({ cache, share: true, signal }, gathered, join(scratch, "out", fileName));
    const type = batch.gather === "folder" ? "folder" : "file";
    const declared = { batch: { path: fileName, type, optional: false, when: "success" } as const };
    const { outputs, faults } = await collectOutputs(scratch, declared, { cache, limits, signal });
    if (faults.length > 0) throw new BatchInputError(faults[0]!.message);
    return outputs.batch!;
  } finally {
    await removeTree(scratch);
  }
}

async function slicesOf({ batch, cache, signal }: SplitOrder, content: Content): Promise<readonly BatchSlice[]> {
  const format = batchFormat(content, batch.format);
  if (format === "files") {
    const { entries } = await readManifest(cache, content, signal);
    return sliceFiles(
      entries.filter(({ kind }) => kind === "file").map(({ path }) => path),
      batch.size,
    );
  }
  const path = await cache.ensure(content.digest, content.size, signal);
  return (await indexBatch(createReadStream(path, { signal }), format, batch.size)).slices;
}
