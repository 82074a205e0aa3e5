import { join } from "node:path";
import type { AttemptWork, RuntimeContext, StagedInput } from "./attempt-work.ts";
import { type Staging, stageContent } from "./stage-content.ts";
import { stageGathered } from "./stage-gathered.ts";
import { stageSlice } from "./stage-slice.ts";

/**
 * Puts every input at `in/<name>`, under one rule: that path *is* the artifact, a file or a folder, whatever the
 * producer called its file. What a gathering consumer asked for as a folder holds one entry per item, and the part of
 * a batch that this item works on is `in/batch`.
 *
 * A file in `in` may be a hard link into the blob cache, which costs nothing at any size, but only where the backend
 * keeps steps from writing to it: file modes do not keep out a step that runs as root or as the agent's own user.
 * Elsewhere each input is a clone or a copy.
 */
export async function stageInputs(context: RuntimeContext, work: AttemptWork, signal: AbortSignal): Promise<void> {
  const staging: Staging = { cache: context.cache, share: context.capabilities.readOnlyInputs, signal };
  for (const input of work.inputs) await stageInput(staging, input, join(work.spec.folder, "in", input.name));
}

async function stageInput(staging: Staging, input: StagedInput, target: string): Promise<void> {
  switch (input.kind) {
    case "content":
      return await stageContent(staging, input.content, target);
    case "gathered":
      return await stageGathered(staging, input, target);
    case "batch-item":
      return await stageSlice(staging, input, target);
  }
}
