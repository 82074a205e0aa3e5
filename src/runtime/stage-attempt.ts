import { clearInputs, isSealed, makeAttemptFolder, seal } from "./attempt-folder.ts";
import type { AttemptWork, RuntimeContext } from "./attempt-work.ts";
import { hasSecrets, makeSecretFolder, writeSecrets } from "./secret-folder.ts";
import { stageInputs } from "./stage-inputs.ts";

/**
 * Lays an attempt's folder out, with its inputs in place, and says whether the folder is new. One that is complete is
 * never touched again: a step may be running on it.
 */
export async function stageAttempt(context: RuntimeContext, work: AttemptWork, stop: AbortSignal): Promise<boolean> {
  const { spec, inputs } = work;
  const isNew = makeAttemptFolder(spec.folder);
  stop.throwIfAborted();
  await stageSecrets(context, work, stop);
  if (!isNew && isSealed(spec.folder)) return isNew;
  if (inputs.length > 0) {
    if (!isNew) await clearInputs(spec.folder);
    await stageInputs(context, work, stop);
  }
  seal(spec.folder);
  return isNew;
}

/** Not part of what is sealed: that outlives a start of the machine, and what is only in memory does not. */
async function stageSecrets({ secrets: source }: RuntimeContext, work: AttemptWork, stop: AbortSignal): Promise<void> {
  const { secrets } = work.spec;
  if (secrets === undefined || hasSecrets(secrets)) return;
  makeSecretFolder(secrets);
  if (source === undefined) throw new Error("there is nobody to ask for the values of secrets");
  writeSecrets(secrets, work.secrets!, await source.valuesFor(work, stop));
}
