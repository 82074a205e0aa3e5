import type { AttemptUsage, UsageReport, UsageSeries } from "../../protocol/attempt-usage.ts";
import { mergedSeries } from "../../protocol/usage-series.ts";
import type { Queryable } from "./database.ts";
import { jsonParameter } from "./json-parameter.ts";

type Lease = { readonly run: string; readonly epoch: number };
type AttemptName = { readonly stepRun: string; readonly attempt: number };

/**
 * Stores what is new of each attempt's curve. Callers hold no lock: one agent reports an attempt, and a report that was
 * overtaken by a newer one changes nothing.
 */
export async function saveUsage(client: Queryable, lease: Lease, reports: readonly UsageReport[]): Promise<void> {
  if (reports.length === 0) return;
  const known = await knownSeries(client, lease, reports);
  const rows = reports.flatMap(({ stepRun, attempt, series }) => {
    const before = known.get(keyOf({ stepRun, attempt }));
    const merged = before === undefined ? series : mergedSeries(before, series);
    const lastAtMs = series.atMs.at(-1);
    return lastAtMs === undefined ? [] : [{ stepRun, attempt, series: merged, lastAtMs }];
  });
  await client.query({
    name: "save-attempt-usage",
    text: `INSERT INTO attempt_usage AS u (run_id, step_run, attempt, epoch, series, last_at_ms)
     SELECT $1, "stepRun", attempt, $2, series, "lastAtMs"
     FROM json_to_recordset($3::json) AS r ("stepRun" text, attempt integer, series jsonb, "lastAtMs" bigint)
     ORDER BY "stepRun", attempt
     ON CONFLICT (run_id, step_run, attempt, epoch) DO UPDATE SET series = excluded.series, last_at_ms = excluded.last_at_ms
     WHERE excluded.last_at_ms > u.last_at_ms`,
    values: [lease.run, lease.epoch, jsonParameter(rows)],
  });
}

async function knownSeries(
  client: Queryable,
  { run, epoch }: Lease,
  names: readonly AttemptName[],
): Promise<Map<string, UsageSeries>> {
  const { rows } = await client.query<AttemptName & { series: UsageSeries }>({
    name: "known-attempt-usage",
    text: `SELECT u.step_run AS "stepRun", u.attempt, u.series
     FROM json_to_recordset($3::json) AS n ("stepRun" text, attempt integer)
     JOIN attempt_usage u ON u.run_id = $1 AND u.epoch = $2 AND u.step_run = n."stepRun" AND u.attempt = n.attempt`,
    values: [run, epoch, jsonParameter(names.map(({ stepRun, attempt }) => ({ stepRun, attempt })))],
  });
  return new Map(rows.map((row) => [keyOf(row), row.series]));
}

function keyOf({ stepRun, attempt }: AttemptName): string {
  return `${attempt} ${stepRun}`;
}

export interface UsageFilter {
  /** A step run's key, a step's name, or a batch with all its items. */
  readonly step: string | undefined;
  readonly attempt: number | undefined;
  /** After which attempt the page begins. */
  readonly after: UsageCursor | null;
  readonly limit: number;
}

export type UsageCursor = [position: number, item: number, stepRun: string, attempt: number];

/** With its place in the list. */
export type ListedUsage = AttemptUsage & { readonly place: UsageCursor };

/** What the attempts of a run used: in the order of their steps. */
export async function listAttemptUsage(db: Queryable, run: string, filter: UsageFilter): Promise<ListedUsage[]> {
  const { step = null, attempt = null, after, limit } = filter;
  const { rows } = await db.query<Omit<ListedUsage, "startedAt" | "finishedAt"> & Times>(
    `SELECT json_build_array(s.position, COALESCE(s.item, -1), a.step_run, a.attempt) AS place, a.step_run AS "stepRun", a.attempt, a.state, a.started_at AS "startedAt",
            a.finished_at AS "finishedAt", a.usage, u.series
     FROM attempts a JOIN step_runs s ON s.run_id = a.run_id AND s.key = a.step_run
     LEFT JOIN attempt_usage u
       ON u.run_id = a.run_id AND u.step_run = a.step_run AND u.attempt = a.attempt AND u.epoch = a.epoch
     WHERE a.run_id = $1 AND ($2::text IS NULL OR s.key = $2 OR s.step = $2 OR s.parent = $2)
       AND ($3::integer IS NULL OR a.attempt = $3)
       AND ($4::integer IS NULL OR (s.position, COALESCE(s.item, -1), a.step_run, a.attempt) > ($4, $5::integer, $6::text, $7::integer))
     ORDER BY s.position, COALESCE(s.item, -1), a.step_run, a.attempt LIMIT $8`,
    [run, step, attempt, ...(after ?? [null, null, null, null]), limit],
  );
  return rows.map((row) => ({
    ...row,
    startedAt: row.startedAt.toISOString(),
    finishedAt: row.finishedAt?.toISOString() ?? null,
  }));
}

interface Times {
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
}
