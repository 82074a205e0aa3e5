import type { StepRunIdentity } from "../../pipeline/step-runs.ts";
import type { CacheRecord } from "../../protocol/cache.ts";
import type { Fault } from "../../protocol/faults.ts";
import type { StepRun } from "../../protocol/resources.ts";
import type { AttemptState, StepState } from "../../protocol/states.ts";
import type { Queryable } from "./database.ts";
import { jsonParameter } from "./json-parameter.ts";

/** What changes while it runs. */
export interface StepRunProgress {
  readonly state: StepState;
  readonly items: number | null;
  readonly attempts: number;
  readonly fault: Fault | null;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  /** Its key, once it is known; undefined changes nothing. */
  readonly cache?: CacheRecord | undefined;
}

/** A step run of a restart before it runs. */
export interface TakenOver {
  /** Id of the run whose attempt made what it has; null where it is still to run. */
  readonly takenFrom: string | null;
}

export interface StepRunRow extends StepRunIdentity, StepRunProgress {
  /** State of its newest attempt. */
  readonly attemptState: AttemptState | null;
}

/** Rows of one statement: keeps the memory of a batch of a million items flat. */
const INSERT_CHUNK = 20_000;

export async function insertStepRuns(
  client: Queryable,
  run: { readonly id: string; readonly project: string },
  rows: readonly (StepRunIdentity & Partial<StepRunProgress> & Partial<TakenOver>)[],
): Promise<void> {
  for (let start = 0; start < rows.length; start += INSERT_CHUNK) {
    const chunk = rows.slice(start, start + INSERT_CHUNK);
    await client.query(
      `INSERT INTO step_runs (run_id, key, project_id, step, position, matrix, item, parent, items, state, attempts,
         fault, started_at, finished_at, taken_from_run, cache, cache_key)
       SELECT $1, s.key, $2, s.step, s.position, s.matrix, s.item, s.parent, s.items, COALESCE(s.state, 'pending'),
              COALESCE(s.attempts, 0), s.fault, s."startedAt", s."finishedAt", s."takenFrom",
              s.cache, s.cache->>'key'
       FROM json_to_recordset($3::json) AS s (key text, step text, position integer, matrix json, item integer,
         parent text, items integer, state text, attempts integer, fault jsonb, "startedAt" timestamptz,
         "finishedAt" timestamptz, "takenFrom" text, cache jsonb)`,
      [run.id, run.project, jsonParameter(chunk)],
    );
  }
}

/** The named step runs as they are, each with its newest attempt. */
export async function loadStepRuns(client: Queryable, run: string, keys: readonly string[]): Promise<StepRunRow[]> {
  const { rows } = await client.query<
    Omit<StepRunRow, "startedAt" | "finishedAt"> & { startedAt: Date | null; finishedAt: Date | null }
  >({
    name: "load-step-runs",
    text: `SELECT s.key, s.step, s.position, s.matrix, s.item, s.parent, s.state, s.items, s.attempts, s.fault,
            s.started_at AS "startedAt", s.finished_at AS "finishedAt", a.state AS "attemptState"
     FROM step_runs s LEFT JOIN attempts a ON a.run_id = s.run_id AND a.step_run = s.key AND a.attempt = s.attempts
     WHERE s.run_id = $1 AND s.key = ANY ($2)`,
    values: [run, keys],
  });
  return rows.map(withIsoTimes);
}

/** Compare-and-swap: changes each step run that is still in state `from`, and returns how many were. */
export async function updateStepRuns(
  client: Queryable,
  run: string,
  changes: readonly (StepRunProgress & { readonly key: string; readonly from: StepState })[],
): Promise<number> {
  if (changes.length === 0) return 0;
  const { rowCount } = await client.query({
    name: "update-step-runs",
    text: `UPDATE step_runs s SET state = c.state, items = c.items, attempts = c.attempts, fault = c.fault,
       started_at = c."startedAt", finished_at = c."finishedAt", cache = COALESCE(c.cache, s.cache),
       cache_key = COALESCE(c.cache->>'key', s.cache_key)
     FROM json_to_recordset($2::json) AS c (key text, "from" text, state text, items integer, attempts integer,
       fault jsonb, "startedAt" timestamptz, "finishedAt" timestamptz, cache jsonb)
     WHERE s.run_id = $1 AND s.key = c.key AND s.state = c."from"`,
    values: [run, jsonParameter(changes)],
  });
  return rowCount ?? 0;
}

/** Ends what a run leaves open when it ends. */
export async function closeStepRuns(
  client: Queryable,
  run: string,
  end: { readonly pending: "skipped" | "cancelled"; readonly fault: Fault },
): Promise<void> {
  await client.query(
    `UPDATE step_runs SET state = CASE state WHEN 'pending' THEN $2 ELSE 'cancelled' END, fault = $3, finished_at = now()
     WHERE run_id = $1 AND state IN ('pending', 'running')`,
    [run, end.pending, end.fault],
  );
}

/** What ran waits again. A batch that was split stays as it is: it is its items that run. */
export async function resetRunningStepRuns(client: Queryable, run: string): Promise<void> {
  await client.query(
    `UPDATE step_runs SET state = 'pending' WHERE run_id = $1 AND state = 'running' AND items IS NULL`,
    [run],
  );
}

/** Some of the items of these batches that did not succeed. */
export async function itemsNotSucceeded(db: Queryable, run: string, batches: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ key: string }>(
    `SELECT key FROM step_runs WHERE run_id = $1 AND state <> 'succeeded' AND parent = ANY ($2) LIMIT 3`,
    [run, batches],
  );
  return rows.map(({ key }) => key);
}

/** Some of the step runs with which a run cannot have succeeded; `mayFail` are the steps that do not matter. */
export async function unsuccessfulStepRuns(db: Queryable, run: string, mayFail: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ key: string }>(
    `SELECT key FROM step_runs WHERE run_id = $1 AND state <> 'succeeded'
       AND NOT (state = 'skipped' AND fault->>'code' = 'condition')
       AND NOT (state IN ('failed', 'skipped', 'cancelled') AND step = ANY ($2))
     LIMIT 3`,
    [run, mayFail],
  );
  return rows.map(({ key }) => key);
}

export async function countStepRuns(db: Queryable, run: string): Promise<Partial<Record<StepState, number>>> {
  const { rows } = await db.query<{ state: StepState; count: number }>(
    "SELECT state, count(*)::integer AS count FROM step_runs WHERE run_id = $1 GROUP BY state",
    [run],
  );
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}

/** Where a page of step runs starts: after the one with this position, item and key. */
export type StepRunCursor = readonly [position: number, item: number, key: string];

export interface StepRunFilter {
  readonly step: string | undefined;
  readonly state: StepState | undefined;
  readonly after: StepRunCursor | null;
  readonly limit: number;
}

/** Step runs in the order of display, without their attempts. */
export async function listStepRuns(
  db: Queryable,
  run: string,
  { step, state, after, limit }: StepRunFilter,
): Promise<(Omit<StepRun, "attempts"> & { readonly position: number })[]> {
  const { rows } = await db.query(
    `SELECT s.key, s.step, s.position, s.matrix, s.item, s.parent, s.items, s.state, s.fault,
            s.step IN (SELECT plan.step ->> 'name' FROM runs r
              JOIN pipeline_versions v ON v.pipeline_id = r.pipeline_id AND v.version = r.pipeline_version,
              json_array_elements(v.plan -> 'steps') AS plan (step)
              WHERE r.id = $1 AND plan.step ->> 'allowFailure' = 'true') AS "mayFail",
            CASE WHEN o.id IS NULL THEN NULL ELSE json_build_object('id', o.id, 'number', o.number) END AS "takenFrom",
            s.started_at AS "startedAt", s.finished_at AS "finishedAt"
     FROM step_runs s LEFT JOIN runs o ON o.id = s.taken_from_run
     WHERE s.run_id = $1 AND ($2::text IS NULL OR s.step = $2) AND ($3::text IS NULL OR s.state = $3)
       AND ($4::integer IS NULL OR (s.position, COALESCE(s.item, -1), s.key) > ($4, $5::integer, $6::text))
     ORDER BY s.position, COALESCE(s.item, -1), s.key LIMIT $7`,
    [run, step ?? null, state ?? null, after?.[0] ?? null, after?.[1] ?? null, after?.[2] ?? null, limit],
  );
  return rows.map(withIsoTimes);
}

function withIsoTimes<T extends { startedAt: Date | null; finishedAt: Date | null }>(row: T) {
  return {
    ...row,
    startedAt: row.startedAt?.toISOString() ?? null,
    finishedAt: row.finishedAt?.toISOString() ?? null,
  };
}

/** Whether everything that `step` names (a key, a step, a batch) is over; null when it names nothing of this run. */
export async function isStepOver(db: Queryable, run: string, step: string): Promise<boolean | null> {
  const { rows } = await db.query<{ over: boolean | null }>(
    `SELECT bool_and(state NOT IN ('pending', 'running')) AS over FROM step_runs
     WHERE run_id = $1 AND (key = $2 OR step = $2 OR parent = $2)`,
    [run, step],
  );
  return rows[0]!.over;
}
