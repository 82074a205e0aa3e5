import { LEASE_DURATION_MS } from "../../protocol/agent-api.ts";
import type { Queryable } from "./database.ts";
import { limitingBackendsOf } from "./limiting-backends.ts";
import type { Offer } from "./queue.ts";

/** A worker as far as it decides whether it could take a run, and whether now. */
export interface Candidate extends Omit<Offer, "project" | "diskBytes"> {
  readonly id: string;
  readonly name: string;
  readonly diskFreeBytes: number;
  /** What has to stay free. */
  readonly diskNeededBytes: number;
  /** Null where its agent does not say. */
  readonly diskTotalBytes: number | null;
  readonly slots: number;
  /** Runs that it holds, and the GPUs that these need. */
  readonly held: number;
  readonly gpusHeld: number;
  readonly draining: boolean;
  readonly online: boolean;
  /** Whether its agent was ever started; which backends it has is told then. */
  readonly booted: boolean;
}

/** Every worker of a project, by name. */
export async function listCandidates(db: Queryable, project: string): Promise<Candidate[]> {
  const { rows } = await db.query<Candidate>(
    `SELECT w.id, w.name, w.pool, w.labels, ARRAY(SELECT jsonb_object_keys(w.capabilities -> 'backends')) AS backends,
            ${limitingBackendsOf("w.capabilities")} AS limiting,
            (w.capabilities ->> 'cpus')::float8 AS cpus,
            (w.capabilities ->> 'memoryBytes')::float8 AS "memoryBytes",
            jsonb_array_length(w.capabilities -> 'gpus') AS gpus,
            (w.capabilities ->> 'diskFreeBytes')::float8 AS "diskFreeBytes",
            COALESCE((w.capabilities ->> 'diskNeededBytes')::float8, 0) AS "diskNeededBytes",
            (w.capabilities ->> 'diskTotalBytes')::float8 AS "diskTotalBytes",
            (w.capabilities ->> 'slots')::integer AS slots, held.runs AS held, held.gpus AS "gpusHeld", w.draining,
            COALESCE(w.last_seen_at > now() - make_interval(secs => ${LEASE_DURATION_MS / 1000}), false) AS online,
            w.boot_id IS NOT NULL AS booted
     FROM workers w CROSS JOIN LATERAL (
       SELECT count(*)::integer AS runs, COALESCE(sum(needed_gpus), 0)::integer AS gpus
       FROM runs WHERE worker_id = w.id AND state IN ('running', 'cancelling')) AS held
     WHERE w.project_id = $1 AND w.removed_at IS NULL ORDER BY w.name`,
    [project],
  );
  return rows;
}
