import { clearInputs, isSealed, makeAttemptFolder, seal } from "./attempt-folder.ts";
import type { AttemptWork, RuntimeContext } from "./attempt-work.ts";
import { stageInputs } from "./stage-inputs.ts";

/**
 * Lays an attempt's folder out, with its inputs in place, and says whether the folder is new. One that is complete is
 * never touched again: a step may be running on it.
 */
export async function stageAttempt(context: RuntimeContext, work: AttemptWork, stop: AbortSignal): Promise<boolean> {
  const { spec, inputs } = work;
  const isNew = makeAttemptFolder(spec.folder);
  stop.throwIfAborted();
  if (!isNew && isSealed(spec.folder)) return isNew;
  if (inputs.length > 0) {
    if (!isNew) await clearInputs(spec.folder);
    await stageInputs(context, work, stop);
  }
  seal(spec.folder);
  return isNew;
}
