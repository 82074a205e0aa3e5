import { stepsFrom } from "../../pipeline/steps-from.ts";
import { BerthError } from "../../protocol/errors.ts";
import type { Plan } from "../../protocol/plan.ts";
import type { Services } from "../services.ts";
import type { Queryable } from "../store/database.ts";
import { blobsOf, type EndedStepRun, missingOutputs, type OriginalRun } from "../store/restarts.ts";

/** Artifacts named in the error that says that they are gone. */
const NAMED_MAX = 20;
/**
 * Read before a restart is answered: a second or two. What is beyond is looked for, and its size compared; every byte is
 * checked again wherever it is fetched.
 */
const HASHED_BYTES_MAX = 1024 ** 3;

type Taken = Pick<EndedStepRun, "key" | "step" | "takenFrom">;

/** Refuses a restart of which not every version is there that it takes over. */
export async function checkVersionsRemain(
  db: Queryable,
  run: OriginalRun,
  plan: Plan,
  taken: readonly Taken[],
): Promise<void> {
  const missing = await missingOutputs(db, taken, NAMED_MAX);
  if (missing.length === 0) return;
  const stepOf = new Map(taken.map(({ key, step }) => [key, step]));
  throw notAllThere(run, plan, {
    named: missing.map(({ stepRun, name }) => ({ artifact: `${stepRun}/${name}`, why: "expired" })),
    steps: new Set(missing.map(({ stepRun }) => stepOf.get(stepRun)!)),
  });
}

/** The same for the bytes behind them. No transaction waits for this: they may lie in the object store. */
export async function checkBytesRemain(
  { database, blobs }: Pick<Services, "database" | "blobs">,
  { project, run, plan }: { readonly project: string; readonly run: OriginalRun; readonly plan: Plan },
  taken: readonly Taken[],
): Promise<void> {
  const needed = await blobsOf(database.pool, taken);
  const digests = [...new Set(needed.map(({ digest }) => digest))];
  if (digests.length === 0) return;
  const faults = await blobs.faulty(project, digests, HASHED_BYTES_MAX);
  if (faults.size === 0) return;
  // What has expired since the look at the versions is not damage.
  await checkVersionsRemain(database.pool, run, plan, taken);
  const stepOf = new Map(taken.map(({ key, step }) => [key, step]));
  const bad = needed.filter(({ digest }) => faults.has(digest));
  const named = new Map(bad.map(({ stepRun, name, digest }) => [`${stepRun}/${name}`, faults.get(digest)!]));
  throw notAllThere(run, plan, {
    named: [...named].map(([artifact, why]) => ({ artifact, why })),
    steps: new Set(bad.map(({ stepRun }) => stepOf.get(stepRun)!)),
  });
}

/** The last step from which a restart makes everything again that these steps make; null when no single one does. */
export function stepThatMakesAgain(plan: Pick<Plan, "steps">, steps: ReadonlySet<string>): string | null {
  const names = plan.steps.map(({ name }) => name);
  return names.findLast((name) => steps.isSubsetOf(stepsFrom(plan, name))) ?? null;
}

interface Absent {
  readonly named: readonly { readonly artifact: string; readonly why: "expired" | "missing" | "damaged" }[];
  readonly steps: ReadonlySet<string>;
}

function notAllThere(run: OriginalRun, plan: Plan, { named, steps }: Absent): BerthError {
  const shown = named.slice(0, NAMED_MAX);
  const list = shown.map(({ artifact, why }) => `${artifact} (${why})`).join(", ");
  const more = named.length > shown.length ? ` and ${named.length - shown.length} more` : "";
  const from = stepThatMakesAgain(plan, steps);
  const name = `${run.pipeline}#${run.number}`;
  return new BerthError("conflict", `Not all that ${name} made can be taken over: ${list}${more}.`, {
    advice:
      from === null
        ? "No single step makes all of it again: run the pipeline anew."
        : `It is made again by: berth restart ${name} --from ${from}`,
    details: { artifacts: shown, from },
  });
}
