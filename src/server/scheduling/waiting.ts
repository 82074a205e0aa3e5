import { LEASE_DURATION_MS } from "../../protocol/agent-api.ts";
import type { Run, Waiting, WaitReason } from "../../protocol/resources.ts";
import type { Queryable } from "../store/database.ts";

/** A worker as far as it decides whether it could take a run, and whether now. */
export interface Candidate {
  readonly id: string;
  readonly name: string;
  readonly pool: string;
  readonly labels: readonly string[];
  readonly backends: readonly string[];
  readonly slots: number;
  /** Runs that it holds. */
  readonly held: number;
  readonly draining: boolean;
  readonly online: boolean;
  /** Whether its agent was ever started; what it can do is told then. */
  readonly booted: boolean;
  readonly diskFreeBytes: number;
  readonly diskNeededBytes: number;
}

type Wanted = Pick<Run, "pool" | "labels" | "backend">;

/** Workers listed: whoever asks wants to see the nearest, not all of a thousand. */
const WORKERS_LISTED = 50;
/** These pass by themselves; the others need somebody to change the run or the workers. */
const PASSING: readonly WaitReason["code"][] = ["offline", "draining", "busy"];

/** Why a queued run waits: for each worker the parts of the claim's predicate that fail. */
export async function explainWaiting(db: Queryable, project: string, run: Wanted): Promise<Waiting> {
  const { rows } = await db.query<Candidate>(
    `SELECT w.id, w.name, w.pool, w.labels, ARRAY(SELECT jsonb_object_keys(w.capabilities -> 'backends')) AS backends,
            (w.capabilities ->> 'slots')::integer AS slots, w.draining,
            w.boot_id IS NOT NULL AS booted,
            (w.capabilities ->> 'diskFreeBytes')::float8 AS "diskFreeBytes",
            COALESCE((w.capabilities ->> 'diskNeededBytes')::float8, 0) AS "diskNeededBytes",
            COALESCE(w.last_seen_at > now() - make_interval(secs => ${LEASE_DURATION_MS / 1000}), false) AS online,
            (SELECT count(*)::integer FROM runs r
              WHERE r.worker_id = w.id AND r.state IN ('running', 'cancelling')) AS held
     FROM workers w WHERE w.project_id = $1 AND w.removed_at IS NULL ORDER BY w.name`,
    [project],
  );
  return explain(run, rows);
}

export function explain(run: Wanted, candidates: readonly Candidate[]): Waiting {
  const workers = candidates
    .map((worker) => ({ id: worker.id, name: worker.name, reasons: reasonsAgainst(run, worker) }))
    .sort((a, b) => distance(a.reasons) - distance(b.reasons));
  return {
    summary: summarise(run, workers),
    possible: workers.some(({ reasons }) => reasons.every(passes)),
    workers: workers.slice(0, WORKERS_LISTED),
  };
}

function reasonsAgainst(run: Wanted, worker: Candidate): WaitReason[] {
  const reasons: WaitReason[] = [];
  const add = (code: WaitReason["code"], message: string) => reasons.push({ code, message });
  if (worker.pool !== run.pool) add("pool", `is in pool ${worker.pool}, not ${run.pool}`);
  const lacking = run.labels.filter((label) => !worker.labels.includes(label));
  if (lacking.length > 0) add("label", `lacks ${lacking.length === 1 ? "label" : "labels"} ${lacking.join(", ")}`);
  if (!worker.booted) {
    add("offline", "has not been started yet");
    return reasons;
  }
  if (run.backend === null && worker.backends.length === 0) add("backend", "has no working backend");
  if (run.backend !== null && !worker.backends.includes(run.backend)) add("backend", `has no backend ${run.backend}`);
  if (!worker.online) add("offline", "was not heard of for a while");
  if (worker.draining) add("draining", "takes no further runs");
  if (worker.diskFreeBytes < worker.diskNeededBytes) {
    const [free, needed] = [inGiB(worker.diskFreeBytes), inGiB(worker.diskNeededBytes)];
    add("disk", `has ${free} of disk free, and takes no runs below ${needed}`);
  }
  if (worker.held >= worker.slots) add("busy", `holds ${worker.held} of ${worker.slots} runs`);
  return reasons;
}

function inGiB(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}

function passes({ code }: WaitReason): boolean {
  return PASSING.includes(code);
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
