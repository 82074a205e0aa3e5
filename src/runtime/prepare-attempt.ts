import { BackendError, type BackendSession } from "../backends/execution-backend.ts";
import { AttemptFault } from "./attempt-fault.ts";
import { makeAttemptFolder } from "./attempt-folder.ts";
import type { AttemptWork, RuntimeContext } from "./attempt-work.ts";
import { makeSecretFolder } from "./secret-folder.ts";

/** Attempt folders that were made by this process, per session: nothing of theirs can have run yet. */
const preparedHere = new WeakMap<BackendSession, Set<string>>();

/**
 * Creates the object of an attempt ahead of its turn, where the backend can. `runAttempt` with the same work goes on
 * from there; work that is not run after all is released by its handle (`session.attach`). The folder must be new.
 *
 * It is a hint, so a platform that refuses is not reported: the submit that follows meets the same and says so.
 */
export async function prepareAttempt(context: RuntimeContext, work: AttemptWork): Promise<void> {
  if (makeAttemptFolder(work.spec.folder)) {
    const prepared = preparedHere.get(context.session) ?? new Set();
    preparedHere.set(context.session, prepared.add(work.spec.folder));
  }
  try {
    if (work.spec.secrets !== undefined) makeSecretFolder(work.spec.secrets);
    await context.session.prepare(work.ref, work.spec);
  } catch (error) {
    if (!(error instanceof BackendError || error instanceof AttemptFault)) throw error;
  }
}

/** Whether the folder was prepared by this process; asked once, when the attempt's turn has come. */
export function takePrepared(session: BackendSession, folder: string): boolean {
  return preparedHere.get(session)?.delete(folder) ?? false;
}
