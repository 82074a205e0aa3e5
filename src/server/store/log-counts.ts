import type { Queryable } from "./database.ts";
import type { LogFilter, StoredLogChunk } from "./logs.ts";

/** How much there is of a log. */
export interface LogExtent {
  readonly lines: number;
  readonly bytes: number;
  /** Of the last chunk; null where there is none. */
  readonly lastArrival: number | null;
}

const OF_LOG = `run_id = $1 AND ($2::text IS NULL OR step_run IN (
    SELECT key FROM step_runs WHERE run_id = $1 AND (key = $2 OR step = $2 OR parent = $2)))
  AND ($3::integer IS NULL OR attempt = $3) AND ($4::text IS NULL OR stream = $4)`;

function valuesOf({ run, step, attempt, stream }: LogFilter): unknown[] {
  return [run, step ?? null, attempt ?? null, stream ?? null];
}

export async function logExtent(db: Queryable, filter: LogFilter): Promise<LogExtent> {
  const { rows } = await db.query<LogExtent>(
    `SELECT COALESCE(sum(lines), 0)::integer AS lines, COALESCE(sum(end_offset - start_offset), 0)::bigint AS bytes,
            max(arrival) AS "lastArrival"
     FROM log_chunks WHERE ${OF_LOG}`,
    valuesOf(filter),
  );
  return rows[0]!;
}

/** A place in a log: a chunk, and how many lines end before it. */
export interface LogPlace {
  readonly arrival: number;
  readonly before: number;
}

/** The chunk in which the line of this number ends; null where no chunk has it. */
export async function placeOfLine(db: Queryable, filter: LogFilter, line: number): Promise<LogPlace | null> {
  const { rows } = await db.query<LogPlace>(
    `SELECT arrival, before::integer AS before FROM (
       SELECT arrival, lines, sum(lines) OVER (ORDER BY arrival) - lines AS before FROM log_chunks WHERE ${OF_LOG}) numbered
     WHERE before + lines > $5 ORDER BY arrival LIMIT 1`,
    [...valuesOf(filter), line],
  );
  return rows[0] ?? null;
}

/** The place of the last chunk of a log of so many lines. */
export async function placeOfChunk(db: Queryable, run: string, arrival: number, total: number): Promise<LogPlace> {
  const { rows } = await db.query<{ lines: number }>(
    "SELECT lines FROM log_chunks WHERE run_id = $1 AND arrival = $2",
    [run, arrival],
  );
  return { arrival, before: total - rows[0]!.lines };
}

/** What precedes a chunk in its stream; null at the beginning. */
export async function chunkBefore(db: Queryable, run: string, chunk: StoredLogChunk): Promise<StoredLogChunk | null> {
  const { stepRun, attempt, epoch, stream, start } = chunk;
  const { rows } = await db.query<StoredLogChunk>(
    `SELECT step_run AS "stepRun", attempt, epoch, stream, start_offset AS start, end_offset AS end, data, arrival, at, lines
     FROM log_chunks WHERE run_id = $1 AND step_run = $2 AND attempt = $3 AND epoch = $4 AND stream = $5 AND start_offset < $6
     ORDER BY start_offset DESC LIMIT 1`,
    [run, stepRun, attempt, epoch, stream, start],
  );
  return rows[0] ?? null;
}

/** Some chunks whose lines were not counted when they arrived. */
export async function uncountedChunks(
  db: Queryable,
  filter: LogFilter,
  limit: number,
): Promise<Pick<StoredLogChunk, "arrival" | "start" | "end" | "data">[]> {
  const { rows } = await db.query<Pick<StoredLogChunk, "arrival" | "start" | "end" | "data">>(
    `SELECT arrival, start_offset AS start, end_offset AS end, data FROM log_chunks WHERE ${OF_LOG} AND lines IS NULL LIMIT $5`,
    [...valuesOf(filter), limit],
  );
  return rows;
}

export async function noteLineCounts(
  db: Queryable,
  run: string,
  counts: readonly { readonly arrival: number; readonly lines: number }[],
): Promise<void> {
  await db.query(
    `UPDATE log_chunks c SET lines = counted.lines FROM unnest($2::bigint[], $3::integer[]) AS counted (arrival, lines)
     WHERE c.run_id = $1 AND c.arrival = counted.arrival`,
    [run, counts.map(({ arrival }) => arrival), counts.map(({ lines }) => lines)],
  );
}
