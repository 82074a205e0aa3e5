import { LEASE_DURATION_MS } from "../../protocol/agent-api.ts";
import type { Queryable } from "./database.ts";
import { limitingBackendsOf } from "./limiting-backends.ts";
import { FITS, fits, NEXT_FIRST, type Offer, offered } from "./queue.ts";

/** Runs at the front of the queue that are looked at: each is weighed against every worker that asks. */
const WEIGHED_RUNS = 8;
/** A worker that held one of so many runs of a pipeline, the newest, has images and inputs of the next one. */
const WARM_RUNS = 20;

/** A worker that asks for runs, by its own account. */
export interface Asking {
  readonly worker: string;
  readonly held: number;
  /** How many more it would take. */
  readonly free: number;
}

/** Notes that the worker asks; answers the mark by which the note is taken back. */
export async function noteAsking(db: Queryable, { worker, held, free }: Asking, waitMs: number): Promise<Date> {
  const { rows } = await db.query<{ mark: Date }>({
    name: "note-asking",
    text: `INSERT INTO worker_polls (worker_id, held, free, open_until)
           VALUES ($1, $2, $3, date_trunc('milliseconds', now() + make_interval(secs => $4)))
           ON CONFLICT (worker_id) DO UPDATE
             SET held = excluded.held, free = excluded.free, open_until = excluded.open_until
           RETURNING open_until AS mark`,
    values: [worker, held, free, waitMs / 1000],
  });
  return rows[0]!.mark;
}

/**
 * Notes that it does not ask any more, or, where it was given runs and would take more, that it is about to ask again.
 * Nothing changes where a later poll has noted something else.
 */
export async function noteAnswered(
  db: Queryable,
  worker: string,
  mark: Date,
  { given, againWithinMs }: { readonly given: number; readonly againWithinMs: number },
): Promise<void> {
  await db.query({
    name: "note-answered",
    text: `UPDATE worker_polls SET held = held + $3, free = free - $3,
             open_until = CASE WHEN $3 > 0 AND free > $3 THEN now() + make_interval(secs => $4) END
           WHERE worker_id = $1 AND open_until = $2`,
    values: [worker, mark, given, againWithinMs / 1000],
  });
}

/** Workers `o` of the pool that ask now, by their polls `p`, beside the one that looks. */
const OTHERS = `p.worker_id = o.id AND o.project_id = $1 AND o.pool = $2 AND o.id <> $10 AND o.removed_at IS NULL AND NOT o.draining
  AND p.open_until > now() AND p.free > 0
  AND o.last_seen_at > now() - make_interval(secs => ${LEASE_DURATION_MS / 1000})`;

const FITS_OTHER = fits("front", {
  project: "o.project_id",
  pool: "o.pool",
  labels: "o.labels",
  backends: "ARRAY(SELECT jsonb_object_keys(o.capabilities -> 'backends'))",
  limiting: limitingBackendsOf("o.capabilities"),
  cpus: "(o.capabilities ->> 'cpus')::float8",
  memoryBytes: "(o.capabilities ->> 'memoryBytes')::float8",
  gpus: `(jsonb_array_length(o.capabilities -> 'gpus') - CASE WHEN front.needed_gpus = 0 THEN 0 ELSE
    (SELECT COALESCE(sum(h.needed_gpus), 0) FROM runs h
     WHERE h.worker_id = o.id AND h.state IN ('running', 'cancelling')) END)`,
  diskBytes: `GREATEST(0, (o.capabilities ->> 'diskFreeBytes')::float8
    - COALESCE((o.capabilities ->> 'diskNeededBytes')::float8, 0))`,
});

/** Whether another worker of the pool asks for runs now. */
export async function isAnotherAsking(db: Queryable, worker: string, { project, pool }: Offer): Promise<boolean> {
  const { rows } = await db.query<{ asking: boolean }>({
    name: "is-another-asking",
    text: `SELECT EXISTS (SELECT FROM workers o, worker_polls p WHERE ${OTHERS.replace("$10", "$3")}) AS asking`,
    values: [project, pool, worker],
  });
  return rows[0]!.asking;
}

/**
 * The first waiting runs for which a worker that asks too is a better place: one that is idle before one that is not,
 * then one that is warm before one that is not, then the one with less of its slots taken.
 */
export async function runsBetterElsewhere(db: Queryable, offer: Offer, asking: Asking): Promise<string[]> {
  const { rows } = await db.query<{ run: string }>({
    // Without a name: planned for any pool, it would sort the whole queue.
    text: `WITH front AS (
        SELECT * FROM runs WHERE ${FITS} ORDER BY ${NEXT_FIRST} LIMIT ${WEIGHED_RUNS})
      SELECT front.id AS run
      FROM front CROSS JOIN LATERAL (SELECT ARRAY(
        SELECT r.worker_id FROM runs r WHERE r.pipeline_id = front.pipeline_id AND r.number < front.number AND r.worker_id IS NOT NULL
        ORDER BY r.number DESC LIMIT ${WARM_RUNS}) AS workers) AS warm
      WHERE EXISTS (SELECT FROM workers o, worker_polls p WHERE ${OTHERS}
        AND (p.held > 0, NOT o.id = ANY (warm.workers), p.held::float8 / (p.held + p.free))
          < ($11::integer > 0, NOT $10 = ANY (warm.workers), $11::float8 / ($11::integer + $12::integer))
        AND ${FITS_OTHER})`,
    values: [...offered(offer), asking.worker, asking.held, asking.free],
  });
  return rows.map(({ run }) => run);
}
