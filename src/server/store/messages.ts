import type {
  LiveMessage,
  MetricPoint,
  MetricReport,
  MetricSummary,
  Progress,
  ProgressReport,
} from "../../protocol/messages.ts";
import type { Queryable } from "./database.ts";
import { jsonParameter } from "./json-parameter.ts";

type Lease = { readonly run: string; readonly epoch: number; readonly project: string };

/** Of each attempt what is furthest on in its file stays; the lines may be of any order. */
export async function saveProgress(
  client: Queryable,
  { run, epoch, project }: Lease,
  reports: readonly ProgressReport[],
): Promise<void> {
  if (reports.length === 0) return;
  await client.query({
    name: "save-progress",
    text: `INSERT INTO attempt_progress AS p (run_id, step_run, attempt, epoch, project_id, position, done, total, message, at, revision)
     SELECT DISTINCT ON ("stepRun", attempt) $1, "stepRun", attempt, $2, $3, position, done, total, message, at, nextval('message_revision')
     FROM json_to_recordset($4::json) AS r ("stepRun" text, attempt integer, position bigint, done double precision,
       total double precision, message text, at timestamptz)
     ORDER BY "stepRun", attempt, position DESC
     ON CONFLICT (run_id, step_run, attempt, epoch) DO UPDATE SET position = excluded.position, done = excluded.done,
       total = excluded.total, message = excluded.message, at = excluded.at, revision = excluded.revision
     WHERE excluded.position > p.position`,
    values: [run, epoch, project, jsonParameter(reports)],
  });
}

/** Stores the metrics that are new, with their summaries; returns how many were. */
export async function saveMetrics(
  client: Queryable,
  { run, epoch }: Lease,
  reports: readonly MetricReport[],
): Promise<number> {
  if (reports.length === 0) return 0;
  const { rows } = await client.query<{ accepted: number }>({
    name: "save-metrics",
    text: `WITH fresh AS (
       INSERT INTO metric_points (run_id, step_run, attempt, epoch, n, name, value, step, at)
       SELECT $1, "stepRun", attempt, $2, n, name, value, step, at
       FROM json_to_recordset($3::json) AS r ("stepRun" text, attempt integer, n integer, name text,
         value double precision, step double precision, at timestamptz)
       ORDER BY "stepRun", attempt, n
       ON CONFLICT DO NOTHING
       RETURNING step_run, attempt, n, name, value, step, at),
     summed AS (
       INSERT INTO metric_summaries AS s (run_id, step_run, attempt, epoch, name, count, min, max, n, value, step, at, revision)
       SELECT $1, step_run, attempt, $2, name, count(*), min(value), max(value), max(n),
              (array_agg(value ORDER BY n DESC))[1], (array_agg(step ORDER BY n DESC))[1], (array_agg(at ORDER BY n DESC))[1],
              nextval('message_revision')
       FROM fresh GROUP BY step_run, attempt, name ORDER BY step_run, attempt, name
       ON CONFLICT (run_id, step_run, attempt, epoch, name) DO UPDATE SET count = s.count + excluded.count,
         min = least(s.min, excluded.min), max = greatest(s.max, excluded.max), n = greatest(s.n, excluded.n),
         value = CASE WHEN excluded.n > s.n THEN excluded.value ELSE s.value END,
         step = CASE WHEN excluded.n > s.n THEN excluded.step ELSE s.step END,
         at = CASE WHEN excluded.n > s.n THEN excluded.at ELSE s.at END,
         revision = excluded.revision)
     SELECT count(*)::integer AS accepted FROM fresh`,
    values: [run, epoch, jsonParameter(reports)],
  });
  return rows[0]!.accepted;
}

/** An attempt of a lost worker may be begun again under its number: the epoch that the attempt has now is its own. */
const OF_ITS_EPOCH = `LEFT JOIN attempts a ON a.run_id = m.run_id AND a.step_run = m.step_run AND a.attempt = m.attempt
  WHERE m.run_id = $1 AND COALESCE(a.epoch, m.epoch) = m.epoch`;

export interface MetricFilter {
  /** A step run's key, a step's name, or a batch with all its items. */
  readonly step: string | undefined;
  readonly attempt: number | undefined;
  readonly name: string | undefined;
  readonly limit: number;
}

const OF_STEP = `($2::text IS NULL OR m.step_run IN (
    SELECT key FROM step_runs WHERE run_id = $1 AND (key = $2 OR step = $2 OR parent = $2)))
  AND ($3::integer IS NULL OR m.attempt = $3) AND ($4::text IS NULL OR m.name = $4)`;

/** After which point a page begins. */
export type PointCursor = readonly [stepRun: string, attempt: number, n: number];

/** The points of a run, attempt by attempt, in the order in which each said them. */
export async function listMetricPoints(
  db: Queryable,
  run: string,
  { step, attempt, name, after, limit }: MetricFilter & { readonly after: PointCursor | null },
): Promise<MetricPoint[]> {
  const { rows } = await db.query<Omit<MetricPoint, "at"> & { at: Date }>(
    `SELECT m.step_run AS "stepRun", m.attempt, m.n, m.name, m.value, m.step, m.at
     FROM metric_points m ${OF_ITS_EPOCH} AND ${OF_STEP}
       AND ($5::text IS NULL OR (m.step_run, m.attempt, m.n) > ($5, $6::integer, $7::integer))
     ORDER BY m.step_run, m.attempt, m.n LIMIT $8`,
    [
      ...[run, step ?? null, attempt ?? null, name ?? null],
      ...[after?.[0] ?? null, after?.[1] ?? null, after?.[2] ?? null, limit],
    ],
  );
  return rows.map(withIsoTime);
}

const SUMMARY = `m.step_run AS "stepRun", m.attempt, m.name, m.value, m.step, m.at, m.count, m.min, m.max`;

/** After which summary a page begins. */
export type SummaryCursor = readonly [stepRun: string, attempt: number, name: string];

export async function listMetricSummaries(
  db: Queryable,
  run: string,
  { step, attempt, name, after, limit }: MetricFilter & { readonly after: SummaryCursor | null },
): Promise<MetricSummary[]> {
  const { rows } = await db.query<Omit<MetricSummary, "at"> & { at: Date }>(
    `SELECT ${SUMMARY} FROM metric_summaries m ${OF_ITS_EPOCH} AND ${OF_STEP}
       AND ($5::text IS NULL OR (m.step_run, m.attempt, m.name) > ($5, $6::integer, $7::text))
     ORDER BY m.step_run, m.attempt, m.name LIMIT $8`,
    [
      ...[run, step ?? null, attempt ?? null, name ?? null],
      ...[after?.[0] ?? null, after?.[1] ?? null, after?.[2] ?? null, limit],
    ],
  );
  return rows.map(withIsoTime);
}

/** What those who watch a run are told, and when it changed. */
export interface ChangedMessage {
  readonly revision: number;
  readonly message: LiveMessage;
}

/** What changed after `revision`, of attempts that have not ended, in the order in which it did. */
export async function progressSince(
  db: Queryable,
  run: string,
  revision: number,
  limit: number,
): Promise<ChangedMessage[]> {
  const { rows } = await db.query<
    Omit<Progress, "at"> & { stepRun: string; attempt: number; at: Date; revision: number }
  >({
    name: "progress-since",
    text: `SELECT m.step_run AS "stepRun", m.attempt, m.done, m.total, m.message, m.at, m.revision
     FROM attempt_progress m ${OF_ITS_EPOCH} AND m.revision > $2 AND COALESCE(a.state, 'running') = 'running'
     ORDER BY m.revision LIMIT $3`,
    values: [run, revision, limit],
  });
  return rows.map(({ stepRun, attempt, revision: changed, ...progress }) => ({
    revision: changed,
    message: { type: "attempt.progress", stepRun, attempt, progress: withIsoTime(progress) },
  }));
}

export async function metricsSince(
  db: Queryable,
  run: string,
  revision: number,
  limit: number,
): Promise<ChangedMessage[]> {
  const { rows } = await db.query<Omit<MetricSummary, "at"> & { at: Date; revision: number }>({
    name: "metrics-since",
    text: `SELECT ${SUMMARY}, m.revision FROM metric_summaries m ${OF_ITS_EPOCH} AND m.revision > $2
     ORDER BY m.revision LIMIT $3`,
    values: [run, revision, limit],
  });
  return rows.map(({ revision: changed, ...metric }) => ({
    revision: changed,
    message: { type: "attempt.metric", metric: withIsoTime(metric) },
  }));
}

function withIsoTime<T extends { readonly at: Date }>(row: T): Omit<T, "at"> & { at: string } {
  return { ...row, at: row.at.toISOString() };
}
