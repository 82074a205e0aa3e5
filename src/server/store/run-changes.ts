import type { Run } from "../../protocol/resources.ts";
import type { Queryable } from "./database.ts";
import { RUN_COLUMNS, RUN_JOINS, toRun } from "./runs.ts";

/**
 * A point in the history of the database: the oldest transaction that was under way. Whatever an older one changed was to be
 * seen then; so whoever reads next what was changed by it, or a later one, misses nothing, however transactions overlap.
 */
export type Horizon = bigint;

export interface ChangedRuns {
  readonly changed: readonly { readonly run: Run; readonly in: Horizon }[];
  readonly horizon: Horizon;
}

export async function horizonNow(db: Queryable): Promise<Horizon> {
  const { rows } = await db.query<{ horizon: string }>({
    name: "horizon-now",
    text: "SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon",
  });
  return BigInt(rows[0]!.horizon);
}

/** The runs that were changed at or after a point, in that order, and the point from which to look the next time. */
export async function runsChangedSince(
  db: Queryable,
  project: string,
  since: Horizon,
  limit: number,
): Promise<ChangedRuns> {
  const { rows } = await db.query({
    name: "runs-changed-since",
    text: `SELECT now.horizon, changed.*
     FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon) now LEFT JOIN LATERAL (
       SELECT ${RUN_COLUMNS}, r.changed_in::text AS "changedIn" FROM runs r ${RUN_JOINS}
       WHERE r.project_id = $1 AND r.changed_in >= $2::xid8 ORDER BY r.changed_in, r.id LIMIT $3) changed ON true`,
    values: [project, String(since), limit],
  });
  const changed = rows.filter(({ id }) => id !== null).map((row) => ({ run: toRun(row), in: BigInt(row.changedIn) }));
  return { changed, horizon: BigInt(rows[0].horizon) };
}
