import { promisify } from "node:util";
import { zstdDecompress } from "node:zlib";
import { LOG_BYTES_PER_REQUEST, LogBatch, type LogChunkHeader } from "../../protocol/agent-api.ts";
import { BerthError } from "../../protocol/errors.ts";
import { countLineFeeds } from "../../std/line-feeds.ts";
import type { Database } from "../store/database.ts";
import { type LeaseHolder, requireLease } from "../store/leases.ts";
import { packLog } from "../store/log-packing.ts";
import { insertLogChunks, lockLogs, logEnds } from "../store/logs.ts";

const decompress = promisify(zstdDecompress);

/** 5,000 headers with the longest keys; far more than any agent sends. */
const HEADER_MAX_BYTES = 4 * 1024 * 1024;
const UNPACKED_MAX_BYTES = HEADER_MAX_BYTES + LOG_BYTES_PER_REQUEST;

export interface ReceivedChunk extends LogChunkHeader {
  readonly bytes: Buffer;
}

export interface ReceivedLogs {
  readonly epoch: number;
  readonly chunks: readonly ReceivedChunk[];
}

/** Unpacks the body of a log request: see LOGS_CONTENT_TYPE. What unpacks to more than is allowed is not unpacked. */
export async function unpackLogs(body: Buffer): Promise<ReceivedLogs> {
  const bytes = await decompress(body, { maxOutputLength: UNPACKED_MAX_BYTES }).catch((error: unknown) => {
    if ((error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE") {
      throw new BerthError("payload_too_large", `The logs unpack to more than ${UNPACKED_MAX_BYTES} bytes.`);
    }
    throw new BerthError("invalid_body", "The body is not a zstd frame.", { cause: error });
  });
  const lineEnd = bytes.indexOf(0x0a);
  const parsed = LogBatch.safeParse(lineEnd < 0 ? undefined : jsonOrNull(bytes.subarray(0, lineEnd)));
  if (!parsed.success)
    throw new BerthError("invalid_body", `The first line is not a LogBatch: ${parsed.error.message}`);
  const { epoch, chunks } = parsed.data;
  const total = chunks.reduce((sum, { length }) => sum + length, 0);
  if (total > LOG_BYTES_PER_REQUEST) {
    throw new BerthError("payload_too_large", `A request may hold ${LOG_BYTES_PER_REQUEST} bytes of logs.`);
  }
  if (lineEnd + 1 + total !== bytes.length) {
    throw new BerthError("invalid_body", `The chunks hold ${bytes.length - lineEnd - 1} bytes, not ${total}.`);
  }
  let start = lineEnd + 1;
  return {
    epoch,
    chunks: chunks.map((chunk) => {
      start += chunk.length;
      return { ...chunk, bytes: bytes.subarray(start - chunk.length, start) };
    }),
  };
}

function jsonOrNull(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return null;
  }
}

/**
 * Stores what is new of these chunks; what is stored already is skipped, so that a repeat changes nothing. Returns the
 * number of bytes that are new. Throws `sequence_gap` where a hole would be left, and then stores nothing.
 */
export async function appendLogs(
  database: Database,
  holder: LeaseHolder,
  chunks: readonly ReceivedChunk[],
): Promise<number> {
  await requireLease(database.pool, holder);
  // Before the transaction: the lock is held for statements only. A repeat costs its compression once more.
  const joined = joinNeighbours(chunks);
  const packed = await Promise.all(joined.map(({ bytes }) => packLog(bytes)));
  return database.transaction(async (client) => {
    await lockLogs(client, holder.run);
    await requireLease(client, holder);
    const streams = new Map(joined.map((chunk) => [streamKey(chunk), chunk]));
    const ends = await logEnds(client, holder.run, holder.epoch, [...streams.values()]);
    const stored = new Map([...streams.keys()].map((key, index) => [key, ends[index]!]));
    const fresh = [];
    for (const [index, chunk] of joined.entries()) {
      const expected = stored.get(streamKey(chunk))!;
      if (chunk.offset > expected) throw hole(chunk, expected);
      const end = chunk.offset + chunk.bytes.length;
      if (end <= expected) continue;
      const isWhole = expected === chunk.offset;
      const data = isWhole ? packed[index]! : await packLog(chunk.bytes.subarray(expected - chunk.offset));
      const { stepRun, attempt, stream } = chunk;
      const lines = countLineFeeds(chunk.bytes.subarray(expected - chunk.offset));
      fresh.push({ stepRun, attempt, stream, start: expected, end, lines, data });
      stored.set(streamKey(chunk), end);
    }
    await insertLogChunks(client, holder, fresh);
    return fresh.reduce((sum, { start, end }) => sum + end - start, 0);
  });
}

/** Chunks of one stream that follow directly on each other become one: they compress better, and are one row. */
function joinNeighbours(chunks: readonly ReceivedChunk[]): ReceivedChunk[] {
  const joined: ReceivedChunk[] = [];
  for (const chunk of chunks) {
    const last = joined.at(-1);
    const follows =
      last !== undefined && streamKey(last) === streamKey(chunk) && last.offset + last.length === chunk.offset;
    if (!follows) {
      joined.push(chunk);
      continue;
    }
    const bytes = Buffer.concat([last.bytes, chunk.bytes]);
    joined[joined.length - 1] = { ...last, length: bytes.length, bytes };
  }
  return joined;
}

function streamKey({ stepRun, attempt, stream }: LogChunkHeader): string {
  return `${stream} ${attempt} ${stepRun}`;
}

function hole({ stepRun, attempt, stream, offset }: LogChunkHeader, expected: number): BerthError {
  return new BerthError(
    "sequence_gap",
    `${stream} of ${stepRun}, attempt ${attempt}, ends at ${expected}, not ${offset}.`,
    {
      advice: `Send it from ${expected} on.`,
      details: { stepRun, attempt, stream, expected },
    },
  );
}
