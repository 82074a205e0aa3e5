import type { LogStream } from "../../protocol/agent-api.ts";
import { bytesParameter } from "./bytes-parameter.ts";
import type { Queryable } from "./database.ts";

/** One stream of bytes. Under another epoch the same attempt number is another try, and so another stream. */
export interface LogStreamId {
  readonly stepRun: string;
  readonly attempt: number;
  readonly stream: LogStream;
}

/** A stored piece of a stream: `data` is zstd of the bytes `[start, end)`. */
export interface LogChunk extends LogStreamId {
  readonly start: number;
  readonly end: number;
  readonly data: Buffer;
}

export interface NewLogChunk extends LogChunk {
  /** How many lines end in it. */
  readonly lines: number;
}

/**
 * Lets one append to a run's logs at a time, until the transaction ends: offsets then stay contiguous, and chunks become
 * visible in the order of their arrival numbers. Not the run's row lock, which the events take: they do not wait.
 */
export async function lockLogs(client: Queryable, run: string): Promise<void> {
  await client.query("SELECT pg_advisory_xact_lock(hashtextextended('logs of ' || $1, 0))", [run]);
}

/** How many bytes of each stream are stored, in the order asked for. */
export async function logEnds(
  client: Queryable,
  run: string,
  epoch: number,
  streams: readonly LogStreamId[],
): Promise<number[]> {
  const { rows } = await client.query<{ end: number }>({
    name: "log-ends",
    text: `SELECT COALESCE((
       SELECT c.end_offset FROM log_chunks c
       WHERE c.run_id = $1 AND c.step_run = s.step_run AND c.attempt = s.attempt AND c.epoch = $2 AND c.stream = s.stream
       ORDER BY c.start_offset DESC LIMIT 1), 0)::bigint AS end
     FROM unnest($3::text[], $4::integer[], $5::text[]) WITH ORDINALITY AS s (step_run, attempt, stream, n) ORDER BY s.n`,
    values: [
      run,
      epoch,
      streams.map(({ stepRun }) => stepRun),
      streams.map(({ attempt }) => attempt),
      streams.map(({ stream }) => stream),
    ],
  });
  return rows.map(({ end }) => end);
}

export async function insertLogChunks(
  client: Queryable,
  { project, run, epoch }: { readonly project: string; readonly run: string; readonly epoch: number },
  chunks: readonly NewLogChunk[],
): Promise<void> {
  if (chunks.length === 0) return;
  const data = bytesParameter(chunks.map((chunk) => chunk.data));
  await client.query({
    name: "insert-log-chunks",
    text: `INSERT INTO log_chunks (run_id, project_id, epoch, step_run, attempt, stream, start_offset, end_offset, lines, data)
     SELECT $1, $2, $3, c.step_run, c.attempt, c.stream, c.start_offset, c.end_offset, c.lines,
            substring($9::bytea FROM c.data_start FOR c.data_length)
     FROM unnest($4::text[], $5::integer[], $6::text[], $7::bigint[], $8::bigint[], $10::integer[], $11::integer[],
       $12::integer[])
       WITH ORDINALITY AS c (step_run, attempt, stream, start_offset, end_offset, data_start, data_length, lines, n)
     ORDER BY c.n`,
    values: [
      run,
      project,
      epoch,
      chunks.map(({ stepRun }) => stepRun),
      chunks.map(({ attempt }) => attempt),
      chunks.map(({ stream }) => stream),
      chunks.map(({ start }) => start),
      chunks.map(({ end }) => end),
      data.bytes,
      data.starts,
      data.lengths,
      chunks.map(({ lines }) => lines),
    ],
  });
}

/** Which chunks of a run: all that are left out match all. */
export interface LogFilter {
  readonly run: string;
  /** A step run's key, a step's name, or a batch with all its items. */
  readonly step?: string | undefined;
  readonly attempt?: number | undefined;
  readonly stream?: LogStream | undefined;
  readonly epoch?: number | undefined;
}

export interface StoredLogChunk extends LogChunk {
  readonly arrival: number;
  readonly epoch: number;
  readonly at: Date;
  /** How many lines end in it; null where that was not counted. */
  readonly lines: number | null;
}

/** Most chunks of a page, and most bytes, beyond which it ends after the chunk that crosses it. */
const PAGE_CHUNKS = 500;
const PAGE_BYTES = 2 * 1024 * 1024;

/** The next chunks in order of arrival after `from`, or backwards before it. Empty at the end. */
export async function listLogChunks(
  db: Queryable,
  filter: LogFilter,
  from: number,
  direction: "forward" | "backward" = "forward",
): Promise<StoredLogChunk[]> {
  const [beyond, order] = direction === "forward" ? [">", "ASC"] : ["<", "DESC"];
  const { rows } = await db.query<StoredLogChunk>(
    `WITH page AS (
       SELECT arrival, sum(octet_length(data)) OVER (ORDER BY arrival ${order}) - octet_length(data) AS bytes_before
       FROM (
         SELECT arrival, data FROM log_chunks
         WHERE run_id = $1 AND arrival ${beyond} $2 AND ($3::text IS NULL OR step_run IN (
             SELECT key FROM step_runs WHERE run_id = $1 AND (key = $3 OR step = $3 OR parent = $3)))
           AND ($4::integer IS NULL OR attempt = $4) AND ($5::text IS NULL OR stream = $5)
           AND ($6::integer IS NULL OR epoch = $6)
         ORDER BY arrival ${order} LIMIT ${PAGE_CHUNKS}) AS next)
     SELECT c.step_run AS "stepRun", c.attempt, c.epoch, c.stream, c.start_offset AS start, c.end_offset AS end, c.data,
            c.arrival, c.at, c.lines
     FROM log_chunks c JOIN page USING (arrival)
     WHERE c.run_id = $1 AND page.bytes_before < ${PAGE_BYTES} ORDER BY arrival ${order}`,
    [filter.run, from, filter.step ?? null, filter.attempt ?? null, filter.stream ?? null, filter.epoch ?? null],
  );
  return rows;
}

/** The newest epoch that has logs of an attempt; null when there are none. */
export async function newestLogEpoch(
  db: Queryable,
  run: string,
  stepRun: string,
  attempt: number,
): Promise<number | null> {
  const { rows } = await db.query<{ epoch: number | null }>(
    "SELECT max(epoch) AS epoch FROM log_chunks WHERE run_id = $1 AND step_run = $2 AND attempt = $3",
    [run, stepRun, attempt],
  );
  return rows[0]!.epoch;
}
