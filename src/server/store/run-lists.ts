import { firstIdOf } from "../../protocol/ids.ts";
import type { Run } from "../../protocol/resources.ts";
import type { RunListQuery } from "../../protocol/run-lists.ts";
import { isTerminal, RUN_TRANSITIONS, type RunState } from "../../protocol/states.ts";
import type { Queryable } from "./database.ts";
import { RUN_COLUMNS, RUN_JOINS, toRun } from "./runs.ts";

export type RunFilter = Omit<RunListQuery, "cursor" | "limit">;

export interface RunPage {
  /** Only runs older than this id: ids sort by time. */
  readonly before: string | null;
  readonly limit: number;
}

export interface FoundRuns {
  /** Newest first. */
  readonly runs: readonly Run[];
  /** Where fewer than the limit were found although there is more to look at: the run that was looked at last. */
  readonly lookedTo: string | null;
}

/**
 * Runs looked at for one page, however few of them fit: what one index does not answer, such as a part of a text, is
 * compared run by run. It bounds a page to some ten milliseconds.
 */
export const LOOKED_AT_MAX = 2_000;
/** Ids carry the time of the server that made them, and `created_at` that of the database: they differ by less. */
const CLOCKS_APART_MS = 3_600_000;
const NO_ID_AFTER = firstIdOf("run", 2 ** 48 - 1);

/** The newest runs that fit, each page in bounded time: by one index to no more than LOOKED_AT_MAX of them. */
export async function listRuns(
  db: Queryable,
  project: string,
  filter: RunFilter,
  { before, limit }: RunPage,
): Promise<FoundRuns> {
  const way = wayTo(filter);
  const looked = way.isExact ? limit : LOOKED_AT_MAX;
  const bounds = [project, ...boundsOf(filter, before), looked, way.value];
  const { rows } = await db.query(
    // OFFSET 0 keeps the planner from joining all runs there are to these few, and those that do not fit to anything.
    `SELECT ${RUN_COLUMNS}
     FROM (${way.sql}) looked CROSS JOIN LATERAL (SELECT * FROM runs WHERE id = looked.id AND ${FITS} OFFSET 0) r ${RUN_JOINS}
     ORDER BY looked.id DESC LIMIT $6`,
    [...bounds, limit, ...valuesOf(filter)],
  );
  const runs = rows.map(toRun);
  if (way.isExact || runs.length === limit) return { runs, lookedTo: null };
  const end = await db.query<{ count: number; last: string | null }>(
    `SELECT count(*)::integer AS count, min(id) AS last FROM (${way.sql}) looked`,
    bounds,
  );
  return { runs, lookedTo: end.rows[0]!.count === looked ? end.rows[0]!.last : null };
}

const PIPELINES = "SELECT id FROM pipelines WHERE project_id = $1";
const WORKERS = "SELECT id FROM workers WHERE project_id = $1";

/**
 * What is asked of each run that is looked at; a filter that is not given is null. Pipelines and workers are compared by
 * their ids, which are found once.
 */
const FITS = `($7::text IS NULL OR pipeline_id = ANY (ARRAY(${PIPELINES} AND name = $7)))
  AND ($8::text[] IS NULL OR state = ANY ($8))
  AND ($9::text IS NULL OR worker_id = ANY (ARRAY(${WORKERS} AND (id = $9 OR name = $9))))
  AND ($10::text[] IS NULL OR labels @> $10)
  AND ($11::timestamptz IS NULL OR created_at >= $11) AND ($12::timestamptz IS NULL OR created_at < $12)
  AND ($13::text IS NULL OR COALESCE(started_by ->> 'kind', 'person') = $13)
  AND ($14::text IS NULL OR COALESCE(started_by ->> 'name', created_by) = $14)
  AND ($15::text IS NULL OR id = $15
    OR pipeline_id = ANY (ARRAY(${PIPELINES} AND strpos(lower(name), lower($15)) > 0))
    OR pipeline_id = ANY (ARRAY(${PIPELINES} AND right(lower(name), length($16)) = lower($16)))
      AND starts_with(number::text, $17)
    OR worker_id = ANY (ARRAY(${WORKERS} AND strpos(lower(name), lower($15)) > 0))
    OR strpos(lower(concat_ws(E'\\n', params, created_by, started_by ->> 'name', array_to_string(labels, E'\\n'))),
      lower($15)) > 0)`;

function valuesOf({ pipeline, state, worker, label, since, until, startedBy, text }: RunFilter): unknown[] {
  // `wine#1` is a part of `red-wine#12`.
  const [, name = null, number = null] = /^([^#]*)#(\d*)$/.exec(text ?? "") ?? [];
  return [
    ...[pipeline ?? null, state ?? null, worker ?? null, label ?? null, since ?? null, until ?? null],
    ...[startedBy?.kind ?? null, startedBy?.name ?? null, text ?? null, name, number],
  ];
}

/** Ids between which the runs of the time in question are: before the first, and not before the second. */
function boundsOf({ since, until }: RunFilter, before: string | null): [string, string] {
  const untilId = until === undefined ? NO_ID_AFTER : firstIdOf("run", Date.parse(until) + CLOCKS_APART_MS);
  const sinceId = firstIdOf("run", since === undefined ? 0 : Date.parse(since) - CLOCKS_APART_MS);
  return [before !== null && before < untilId ? before : untilId, sinceId];
}

/** The ids of the newest runs in question, found by one index. */
interface Way {
  readonly sql: string;
  /** Its fifth parameter. */
  readonly value: string | readonly string[] | null;
  /** Whether all of them fit. */
  readonly isExact: boolean;
}

const BOUNDS = "id < $2 AND id >= $3 ORDER BY id DESC LIMIT $4";

/** By what leaves the fewest to look at, as a rule. */
function wayTo(filter: RunFilter): Way {
  const given = Object.values(filter).filter((value) => value !== undefined).length;
  const { worker, pipeline, state } = filter;
  const isExact = given === 1;
  if (worker !== undefined) {
    const workers = "SELECT id FROM workers WHERE project_id = $1 AND (id = $5 OR name = $5)";
    return { sql: newestOfEach(workers, "worker_id"), value: worker, isExact };
  }
  // Of runs that have not ended there are few.
  if (state !== undefined && (pipeline === undefined || state.every(isLive))) {
    const states = "SELECT DISTINCT unnest($5::text[])";
    return { sql: newestOfEach(states, "project_id = $1 AND state"), value: state, isExact };
  }
  if (pipeline !== undefined) {
    const pipelines = "SELECT id FROM pipelines WHERE project_id = $1 AND name = $5";
    return { sql: newestOfEach(pipelines, "pipeline_id"), value: pipeline, isExact };
  }
  const all = `SELECT id FROM runs WHERE project_id = $1 AND $5::text IS NULL AND ${BOUNDS}`;
  return { sql: all, value: null, isExact: given === 0 };
}

function newestOfEach(values: string, column: string): string {
  return `SELECT of_one.id FROM (${values}) AS given (value)
    CROSS JOIN LATERAL (SELECT id FROM runs WHERE ${column} = given.value AND ${BOUNDS}) of_one
    ORDER BY of_one.id DESC LIMIT $4`;
}

function isLive(state: RunState): boolean {
  return !isTerminal(RUN_TRANSITIONS, state);
}
