import { BerthError } from "../../protocol/errors.ts";
import type { Waiting, WaitReason } from "../../protocol/resources.ts";
import { type Candidate, listCandidates } from "../store/candidates.ts";
import type { Queryable } from "../store/database.ts";
import { reasonsAgainst, type Wanted } from "./wait-reasons.ts";

/** Workers listed: whoever asks wants to see the nearest, not all of a thousand. */
const WORKERS_LISTED = 50;
/** Workers named in an error. */
const WORKERS_NAMED = 10;

/** Why a queued run waits: for each worker the parts of the claim's predicate that fail. */
export async function explainWaiting(db: Queryable, project: string, run: Wanted): Promise<Waiting> {
  return explain(run, await listCandidates(db, project));
}

/** Refuses a run that no registered worker could ever take. */
export async function requirePossible(db: Queryable, project: string, run: Wanted): Promise<void> {
  const waiting = await explainWaiting(db, project, run);
  if (waiting.possible) return;
  const problems = waiting.workers
    .slice(0, WORKERS_NAMED)
    .map(({ name, reasons }) => ({ path: name, message: reasons.map(({ message }) => message).join("; ") }));
  const message = waiting.workers.length === 0 ? waiting.summary : "No registered worker could ever take this run.";
  throw new BerthError("unschedulable", message, {
    problems,
    advice: "Ask for less, name another pool, or register a worker that has it; nothing was started.",
    details: { waiting },
  });
}

export function explain(run: Wanted, candidates: readonly Candidate[]): Waiting {
  const workers = candidates
    .map((worker) => ({ id: worker.id, name: worker.name, reasons: reasonsAgainst(run, worker) }))
    .sort((a, b) => distance(a.reasons) - distance(b.reasons));
  return {
    summary: summarise(run, workers),
    place: null,
    possible: workers.some(({ reasons }) => reasons.every(passes)),
    workers: workers.slice(0, WORKERS_LISTED),
  };
}

function passes({ kind }: WaitReason): boolean {
  return kind === "busy";
}

/** Whoever only has to be waited for is nearer than whoever has to be changed. */
function distance(reasons: readonly WaitReason[]): number {
  return reasons.reduce((sum, reason) => sum + (passes(reason) ? 1 : 10), 0);
}

function summarise({ pool }: Wanted, workers: Waiting["workers"]): string {
  const nearest = workers[0];
  if (nearest === undefined) return "No worker is registered.";
  if (nearest.reasons.length === 0) return `${nearest.name} is about to take it.`;
  const why = `${nearest.name} ${nearest.reasons.map(({ message }) => message).join(", and ")}`;
  if (!nearest.reasons.every(passes)) return `No worker can take it as it is, for pool ${pool}: the nearest, ${why}.`;
  return `It waits for a worker: ${why}.`;
}
