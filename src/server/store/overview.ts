import type { Fault } from "../../protocol/faults.ts";
import {
  type EndedRuns,
  type FailingPipeline,
  LIVE_COUNT_MAX,
  OVERVIEW_BUCKETS,
  type Overview,
} from "../../protocol/overview.ts";
import type { Run } from "../../protocol/resources.ts";
import type { Queryable } from "./database.ts";
import { RUN_COLUMNS, RUN_JOINS, toRun } from "./runs.ts";

/** Runs that ended that are looked at: the newest ones. */
const ENDED_MAX = 50_000;
const FAILING_MAX = 20;
/** Runs of a pipeline among which those that ended are looked for. */
const NEWEST_OF_PIPELINE = 50;

export async function countLive(db: Queryable, project: string): Promise<Overview["live"]> {
  const count = (state: string) =>
    `(SELECT count(*)::integer FROM (SELECT FROM runs WHERE project_id = $1 AND state = '${state}' LIMIT ${LIVE_COUNT_MAX}) counted)`;
  const { rows } = await db.query<Overview["live"]>(
    `SELECT ${count("queued")} AS queued, ${count("running")} AS running, ${count("cancelling")} AS cancelling`,
    [project],
  );
  return rows[0]!;
}

export async function oldestQueued(db: Queryable, project: string, limit: number): Promise<Run[]> {
  const { rows } = await db.query(
    `SELECT ${RUN_COLUMNS} FROM runs r ${RUN_JOINS} WHERE r.project_id = $1 AND r.state = 'queued' ORDER BY r.id LIMIT $2`,
    [project, limit],
  );
  return rows.map(toRun);
}

/** Pipelines whose newest run with a result has failed. */
export async function failingPipelines(db: Queryable, project: string): Promise<FailingPipeline[]> {
  const { rows } = await db.query<{
    pipeline: string;
    id: string;
    number: number;
    finishedAt: Date;
    fault: Fault | null;
    failedInARow: number;
  }>(
    `SELECT p.name AS pipeline, last.id, last.number, last.finished_at AS "finishedAt", last.fault, last.in_a_row AS "failedInARow"
     FROM pipelines p CROSS JOIN LATERAL (
       SELECT id, number, state, finished_at, fault,
              (count(*) FILTER (WHERE state = 'failed') OVER before_success)::integer AS in_a_row
       FROM (
         SELECT *, count(*) FILTER (WHERE state = 'succeeded') OVER (ORDER BY id DESC) AS successes
         FROM (SELECT id, number, state, finished_at, fault FROM runs WHERE pipeline_id = p.id ORDER BY id DESC
               LIMIT ${NEWEST_OF_PIPELINE}) newest
         WHERE state IN ('succeeded', 'failed')) ended
       WINDOW before_success AS (PARTITION BY successes)
       ORDER BY id DESC LIMIT 1) last
     WHERE p.project_id = $1 AND last.state = 'failed' ORDER BY last.finished_at DESC LIMIT ${FAILING_MAX}`,
    [project],
  );
  return rows.map(({ pipeline, id, number, finishedAt, fault, failedInARow }) => {
    return { pipeline, run: { id, number, finishedAt: finishedAt.toISOString() }, fault, failedInARow };
  });
}

export type EndedInTime = Pick<Overview, "at" | "from" | "bucketMs" | "complete" | "ended" | "buckets">;

/** How the runs of the last hours ended, in all and in each part of that time. */
export async function endedRuns(db: Queryable, project: string, hours: number): Promise<EndedInTime> {
  const bucketMs = (hours * 3_600_000) / OVERVIEW_BUCKETS;
  const { rows } = await db.query<EndedRow>(
    `WITH ended AS (
       SELECT state, extract(epoch FROM started_at - created_at)::float8 * 1000 AS queue_ms,
              extract(epoch FROM finished_at - started_at)::float8 * 1000 AS run_ms,
              ceil(extract(epoch FROM now() - finished_at)::float8 * 1000 / $3)::integer AS age
       FROM runs WHERE project_id = $1 AND finished_at > now() - $2 * interval '1 hour' AND finished_at <= now()
       ORDER BY finished_at DESC LIMIT ${ENDED_MAX})
     SELECT now() AS now, age, count(*)::integer AS count, count(*) FILTER (WHERE state = 'succeeded')::integer AS succeeded,
            count(*) FILTER (WHERE state = 'failed')::integer AS failed,
            count(*) FILTER (WHERE state = 'cancelled')::integer AS cancelled,
            percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY queue_ms) AS "queueMs",
            percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY run_ms) AS "durationMs"
     FROM ended GROUP BY GROUPING SETS ((), (age))`,
    [project, hours, bucketMs],
  );
  const all = rows.find(({ age }) => age === null)!;
  const byAge = new Map(rows.map((row) => [row.age, row]));
  const now = all.now.getTime();
  const buckets = Array.from({ length: OVERVIEW_BUCKETS }, (_, index) => {
    const from = now - (OVERVIEW_BUCKETS - index) * bucketMs;
    // What ended this very moment has the age 0.
    const row = byAge.get(OVERVIEW_BUCKETS - index) ?? (index === OVERVIEW_BUCKETS - 1 ? byAge.get(0) : undefined);
    return { from: new Date(from).toISOString(), ...(row === undefined ? NONE : toEnded(row)) };
  });
  return {
    ...{
      at: all.now.toISOString(),
      from: new Date(now - hours * 3_600_000).toISOString(),
      bucketMs: Math.round(bucketMs),
    },
    ...{ complete: all.count < ENDED_MAX, ended: toEnded(all), buckets },
  };
}

interface EndedRow {
  readonly now: Date;
  /** In parts of the time, from 1 for the last one; null for all of it. */
  readonly age: number | null;
  readonly count: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  /** Median and 95th of 100. */
  readonly queueMs: readonly number[] | null;
  readonly durationMs: readonly number[] | null;
}

const NONE: EndedRuns = {
  ...{ succeeded: 0, failed: 0, cancelled: 0, successRate: null },
  ...{ queueMs: null, durationMs: null },
};

function toEnded({ succeeded, failed, cancelled, queueMs, durationMs }: EndedRow): EndedRuns {
  const successRate = succeeded + failed === 0 ? null : succeeded / (succeeded + failed);
  return { succeeded, failed, cancelled, successRate, queueMs: spreadOf(queueMs), durationMs: spreadOf(durationMs) };
}

/** Runs that never started have no times. */
function spreadOf(values: readonly (number | null)[] | null): EndedRuns["queueMs"] {
  const [median, p95] = values ?? [];
  return median == null || p95 == null ? null : { median: Math.round(median), p95: Math.round(p95) };
}
