import type { Run } from "../../protocol/resources.ts";
import type { ListedRun } from "../../protocol/run-lists.ts";
import { listCandidates } from "../store/candidates.ts";
import type { Queryable } from "../store/database.ts";
import { explain } from "./waiting.ts";

/**
 * Why queued runs wait, in a sentence each. The workers are read once, and runs that ask for the same are explained once;
 * who holds the places of a group is for a look at the run itself.
 */
export async function withWaiting(db: Queryable, project: string, runs: readonly Run[]): Promise<ListedRun[]> {
  if (!runs.some(isQueued)) return runs.map((run) => ({ ...run, waiting: null }));
  const candidates = await listCandidates(db, project);
  const known = new Map<string, NonNullable<ListedRun["waiting"]>>();
  return runs.map((run) => {
    if (!isQueued(run)) return { ...run, waiting: null };
    const { pool, labels, backend, needs } = run;
    const wanted = { pool, labels, backend, needs };
    const key = JSON.stringify(wanted);
    const { summary, possible } = known.get(key) ?? explain(wanted, candidates);
    known.set(key, { summary, possible });
    return { ...run, waiting: { summary: beforeThat(run, possible) ?? summary, possible } };
  });
}

function isQueued({ state }: Run): boolean {
  return state === "queued";
}

/** A run that is held back waits for no worker yet, unless there is none that could ever take it. */
function beforeThat({ concurrency }: Run, possible: boolean): string | null {
  if (concurrency === null || !concurrency.heldBack || !possible) return null;
  const { group, limit } = concurrency;
  return `It waits for a place in the group "${group}", which has ${limit === 1 ? "1 place" : `${limit} places`}.`;
}
