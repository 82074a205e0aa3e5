import { withVariables } from "../../pipeline/step-variables.ts";
import { LEASE_DURATION_MS, type LeaseRef } from "../../protocol/agent-api.ts";
import type { CancelFacts } from "../../protocol/cancel.ts";
import type { Params, Plan, SourceRef } from "../../protocol/plan.ts";
import type { VariableValues } from "../../protocol/variables.ts";
import type { Queryable } from "./database.ts";
import { CANCEL_FACTS } from "./leases.ts";
import type { RunImages } from "./run-images.ts";

/** What a worker can take; a run is for it when every part fits. */
export interface Offer {
  readonly project: string;
  readonly pool: string;
  readonly labels: readonly string[];
  readonly backends: readonly string[];
  /** Those of them that can limit cores and memory. */
  readonly limiting: readonly string[];
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly gpus: number;
  /** Free, and not kept so. */
  readonly diskBytes: number;
}

/**
 * Whether a run, by the name of its row, is for a worker that offers this, given as SQL; see wait-reasons.ts, which says
 * in words which part fails.
 */
export function fits(run: string, offer: Readonly<Record<keyof Offer, string>>): string {
  const { project, pool, labels, cpus, memoryBytes, gpus, diskBytes } = offer;
  const backends = `CASE WHEN ${run}.needed_cpus > 0 OR ${run}.needed_memory_bytes > 0
    THEN ${offer.limiting} ELSE ${offer.backends} END`;
  return `${run}.project_id = ${project} AND ${run}.pool = ${pool} AND ${run}.labels <@ ${labels}
  AND CASE WHEN ${run}.backend IS NULL THEN cardinality(${backends}) > 0 ELSE ${run}.backend = ANY (${backends}) END
  AND ${run}.needed_cpus <= ${cpus} AND ${run}.needed_memory_bytes <= ${memoryBytes} AND ${run}.needed_gpus <= ${gpus}
  AND ${run}.needed_disk_bytes <= ${diskBytes}`;
}

/** The predicate of a claim; the first parameters are what the worker offers. */
export const FITS = `state = 'queued' AND NOT held_back AND ${fits("runs", {
  ...{ project: "$1", pool: "$2", labels: "$3::text[]", backends: "$4::text[]" },
  ...{ cpus: "$5", memoryBytes: "$6", gpus: "$7", diskBytes: "$8", limiting: "$9::text[]" },
})}`;

export function offered({
  project,
  pool,
  labels,
  backends,
  cpus,
  memoryBytes,
  gpus,
  diskBytes,
  limiting,
}: Offer): unknown[] {
  return [project, pool, labels, backends, cpus, memoryBytes, gpus, diskBytes, limiting];
}

/**
 * The order of a claim, which is that of the index runs_queue: a look at the front, however long the queue is. What reads
 * it has no name and is planned each time: a plan for any values expects one row, and sorts the whole queue.
 */
export const NEXT_FIRST = "priority DESC, created_at, id";

/**
 * Whether there is anything to claim: a look without locks, because most polls find nothing. In the order of the claim, so
 * that it reads the index of the queue: else PostgreSQL looks through all runs that there are, expecting one soon.
 */
export async function isRunWaiting(db: Queryable, offer: Offer): Promise<boolean> {
  const { rows } = await db.query(`SELECT id FROM runs WHERE ${FITS} ORDER BY ${NEXT_FIRST} LIMIT 1`, offered(offer));
  return rows.length > 0;
}

export interface ClaimedRun extends LeaseRef {
  readonly project: string;
  /** Of the event that says so: its number is taken with the claim. */
  readonly seq: number;
}

/** What of the queue is taken. */
export interface Placement {
  /** Runs at most. */
  readonly limit: number;
  /** Runs that are left to other workers. */
  readonly left: readonly string[];
}

/**
 * Grants the worker up to `limit` runs in that order. Two claims at once never get the same run, nor wait. Of runs that
 * need GPUs it gets the first in line, as far as its GPUs are not promised to runs that it holds: one that needs many is
 * not overtaken by those behind it that need few, while runs that need none pass by.
 */
export async function claimQueuedRuns(
  client: Queryable,
  worker: string,
  offer: Offer,
  { limit, left }: Placement,
): Promise<ClaimedRun[]> {
  const { rows } = await client.query<ClaimedRun>(
    `WITH gpu_line AS (
       SELECT id AS line_id, sum(needed_gpus) OVER (ORDER BY ${NEXT_FIRST}) AS gpus
       FROM runs WHERE needed_gpus > 0 AND ${FITS}
       ORDER BY ${NEXT_FIRST} LIMIT $7),
     gpus_held AS (
       SELECT COALESCE(sum(needed_gpus), 0) AS gpus
       FROM runs WHERE worker_id = $10 AND state IN ('running', 'cancelling')),
     next AS (
       SELECT id AS next_id FROM runs
       WHERE ${FITS} AND NOT id = ANY ($12) AND (needed_gpus = 0
         OR id IN (SELECT line_id FROM gpu_line, gpus_held WHERE gpu_line.gpus <= $7 - gpus_held.gpus))
       ORDER BY ${NEXT_FIRST} LIMIT $11 FOR NO KEY UPDATE SKIP LOCKED),
     claimed AS (
       UPDATE runs SET state = 'running', epoch = epoch + 1, worker_id = $10, agent_seq = 0,
         started_at = COALESCE(started_at, now()), stream_seq = stream_seq + 1,
         lease_expires_at = now() + make_interval(secs => ${LEASE_DURATION_MS / 1000})
       FROM next WHERE id = next_id
       RETURNING id, epoch, project_id, stream_seq),
     leased AS (
       INSERT INTO run_leases (run_id, epoch, project_id, worker_id) SELECT id, epoch, project_id, $10 FROM claimed)
     SELECT id AS run, epoch, project_id AS project, stream_seq AS seq FROM claimed`,
    [...offered(offer), worker, limit, left],
  );
  return rows;
}

/** What an agent needs to know of a run besides what was achieved before. */
export interface RunOrder {
  readonly run: string;
  readonly epoch: number;
  readonly number: number;
  readonly project: string;
  readonly plan: Plan;
  readonly params: Params;
  readonly backend: string | null;
  readonly source: SourceRef | null;
  readonly noCache: boolean;
  readonly images: RunImages | null;
  readonly timeLeftMs: number | null;
  readonly cancel: CancelFacts | null;
  /** Whether it took steps over from another run. */
  readonly restarted: boolean;
}

/** What agents need to know of these runs, in the order of the claim. */
export async function ordersOf(db: Queryable, leases: readonly LeaseRef[]): Promise<RunOrder[]> {
  if (leases.length === 0) return [];
  const { rows } = await db.query<
    Omit<RunOrder, "source"> & { sourceDigest: string | null; sourceSize: number | null; variables: VariableValues }
  >({
    name: "orders-of",
    text: `SELECT r.id AS run, r.epoch, r.number, r.project_id AS project, v.plan, r.params, r.variables, r.backend,
            r.source_digest AS "sourceDigest", r.source_size AS "sourceSize", ${CANCEL_FACTS} AS cancel, r.no_cache AS "noCache", r.images,
            CASE WHEN r.timeout_ms IS NOT NULL
              THEN GREATEST(0, r.timeout_ms - extract(epoch FROM now() - r.started_at) * 1000)::float8 END AS "timeLeftMs",
            r.restart_of IS NOT NULL AS restarted
     FROM runs r JOIN pipeline_versions v ON v.pipeline_id = r.pipeline_id AND v.version = r.pipeline_version
     JOIN unnest($1::text[], $2::integer[]) AS leased (run, epoch) ON leased.run = r.id AND leased.epoch = r.epoch
     ORDER BY r.priority DESC, r.created_at, r.id`,
    values: [leases.map(({ run }) => run), leases.map(({ epoch }) => epoch)],
  });
  return rows.map(({ sourceDigest, sourceSize, variables, ...order }) => ({
    ...order,
    plan: withVariables(order.plan, variables),
    source: sourceDigest === null ? null : { digest: sourceDigest, size: sourceSize! },
  }));
}
