import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { LogStream } from "../../protocol/agent-api.ts";
import { BerthError } from "../../protocol/errors.ts";
import { LogLines, type TextLine, toRecordLine } from "../../protocol/log-lines.ts";
import { isAtLeast, LogLevel, parseLogRecord } from "../../protocol/log-record.ts";
import type { LogLine } from "../../protocol/resources.ts";
import { isTerminal, RUN_TRANSITIONS } from "../../protocol/states.ts";
import type { Services } from "../services.ts";
import { unpackLog } from "../store/log-packing.ts";
import { type LogFilter, listLogChunks, newestLogEpoch, type StoredLogChunk } from "../store/logs.ts";
import { runState } from "../store/runs.ts";
import { isStepOver } from "../store/step-runs.ts";
import { type LogStart, tailStart } from "./log-tail.ts";
import { defineRoute, type Route } from "./route.ts";
import { RunParams, runIdOf } from "./run-reference.ts";
import { STILL_HERE_INTERVAL_MS, streamAnswer } from "./stream-answer.ts";
import { watch } from "./watch.ts";

/** The net under wake-ups that were lost. */
const LOOK_INTERVAL_MS = 1_000;
/**
 * An agent reports the end of a run when its logs are with the server. After a loss some may still come: following ends
 * once none came for this long.
 */
const QUIET_MS = 150;

const LogQuery = z.object({
  /** A step run's key, a step's name, or a batch with all its items. */
  step: z.string().max(600).optional(),
  attempt: z.coerce.number().int().min(1).max(10_000).optional(),
  stream: LogStream.optional(),
  /** Whether to go on until what is followed has ended. */
  follow: z.stringbool().default(false),
  /** Bytes of one stream to leave out; needs `step`, `attempt` and `stream`. */
  offset: z.coerce.number().int().min(0).optional(),
  /** Only this many lines before what comes next. */
  tail: z.coerce.number().int().min(0).max(100_000).optional(),
  /** Whole lines as application/x-ndjson, structured ones taken apart: see protocol/log-record.ts. */
  lines: z.stringbool().default(false),
  /** Only structured lines of this level and above; needs `lines`. */
  level: LogLevel.optional(),
});
type LogQuery = z.infer<typeof LogQuery>;

export function logsRoute(services: Services): Route {
  return defineRoute({
    method: "GET",
    path: "/runs/:run/logs",
    access: { kind: "role", role: "viewer" },
    summary: "A run's logs in order of arrival: bytes; or chunks, or lines with their levels, as application/x-ndjson",
    tag: "runs",
    schemas: { params: RunParams, query: LogQuery },
    streams: "text/plain",
    handler: async ({ params, query, project, request, reply, signal }) => {
      if (query.level !== undefined && !query.lines) {
        throw new BerthError("invalid_request", "A level is one of lines.", { advice: "Give lines=true with it." });
      }
      const run = await runIdOf(services.database.pool, project, params.run);
      await requireStep(services, run, query.step);
      const isOver = endOf(services, project, run, query.step);
      const filter = await filterOf(services, run, query);
      const start =
        query.tail === undefined
          ? { after: 0, offset: query.offset ?? 0 }
          : await tailStart(services.database.pool, filter, query.tail);
      const chunks = readLogs(services, filter, start, query.follow ? isOver : null, signal);
      if (query.lines) return streamAnswer(reply, "application/x-ndjson", asRecords(chunks, query.level ?? null));
      return (request.headers.accept ?? "").includes("application/x-ndjson")
        ? streamAnswer(reply, "application/x-ndjson", asLines(chunks))
        : streamAnswer(reply, "text/plain; charset=utf-8", asBytes(chunks));
    },
  });
}

type IsOver = () => Promise<boolean>;

/** Refuses a step that the run does not have. */
export async function requireStep({ database }: Services, run: string, step: string | undefined): Promise<void> {
  if (step !== undefined && (await isStepOver(database.pool, run, step)) === null) {
    throw new BerthError("not_found", `The run has no step or step run ${step}.`, {
      advice: "`berth run show` lists them, and so does GET /api/v1/runs/:run/steps.",
    });
  }
}

/** How to find out whether what is followed has ended. */
function endOf({ database }: Services, project: string, run: string, step: string | undefined): IsOver {
  return async () => {
    const state = await runState(database.pool, project, run);
    if (state === null || isTerminal(RUN_TRANSITIONS, state)) return true;
    return step !== undefined && (await isStepOver(database.pool, run, step)) !== false;
  };
}

async function filterOf({ database }: Services, run: string, query: LogQuery): Promise<LogFilter> {
  const { step, attempt, stream, offset, tail } = query;
  if (offset === undefined) return { run, step, attempt, stream };
  if (step === undefined || attempt === undefined || stream === undefined || tail !== undefined) {
    throw new BerthError("invalid_request", "An offset is a place in one stream.", {
      advice: "Give step, attempt and stream with it, and no tail.",
    });
  }
  const epoch = (await newestLogEpoch(database.pool, run, step, attempt)) ?? undefined;
  return { run, step, attempt, stream, epoch };
}

interface ReadChunk extends Pick<StoredLogChunk, "stepRun" | "attempt" | "epoch" | "stream" | "at"> {
  readonly offset: number;
  readonly bytes: Buffer;
}

/** Chunks from `start` on; with `isOver`, also those that are yet to come, and null now and then while none comes. */
async function* readLogs(
  { database, wakeups }: Services,
  filter: LogFilter,
  start: LogStart,
  isOver: IsOver | null,
  signal: AbortSignal,
): AsyncGenerator<ReadChunk | null> {
  let last = start.after;
  let spokeAtMs = performance.now();
  const readStored = async function* () {
    for (;;) {
      const chunks = await listLogChunks(database.pool, filter, last);
      for (const chunk of chunks) {
        const read = await unpack(chunk, start);
        if (read.bytes.length > 0) yield read;
        last = chunk.arrival;
        spokeAtMs = performance.now();
      }
      if (chunks.length === 0 || signal.aborted) return;
    }
  };
  if (isOver === null) {
    yield* readStored();
    return;
  }
  for await (const _ of watch(wakeups, [`run:${filter.run}`], LOOK_INTERVAL_MS, signal)) {
    const over = await isOver();
    yield* readStored();
    if (over) break;
    if (performance.now() - spokeAtMs < STILL_HERE_INTERVAL_MS) continue;
    yield null;
    spokeAtMs = performance.now();
  }
  for (let quietSince = -1; quietSince !== last && !signal.aborted; ) {
    quietSince = last;
    await sleep(QUIET_MS, undefined, { signal }).catch(() => {});
    yield* readStored();
  }
}

/** Without what lies before the place to start at, which may be all of it. */
async function unpack(chunk: StoredLogChunk, start: LogStart): Promise<ReadChunk> {
  const bytes = await unpackLog(chunk.data, chunk.end - chunk.start);
  const skipped = chunk.arrival === start.first?.arrival ? start.first.skip : Math.max(0, start.offset - chunk.start);
  const { stepRun, attempt, epoch, stream, at } = chunk;
  return { stepRun, attempt, epoch, stream, at, offset: chunk.start + skipped, bytes: bytes.subarray(skipped) };
}

async function* asBytes(chunks: AsyncIterable<ReadChunk | null>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) if (chunk !== null) yield chunk.bytes;
}

/** An empty line says nothing but that the connection lives. */
async function* asLines(chunks: AsyncIterable<ReadChunk | null>): AsyncGenerator<string> {
  for await (const chunk of chunks) yield chunk === null ? "\n" : `${JSON.stringify(toLine(chunk))}\n`;
}

/** Lines as they are complete; the last ones, without an end, when there is nothing more. */
async function* asRecords(chunks: AsyncIterable<ReadChunk | null>, level: LogLevel | null): AsyncGenerator<string> {
  const lines = new LogLines();
  const shown = (found: readonly TextLine[]): string =>
    found
      .map((line) => ({ line, record: parseLogRecord(line.text) }))
      .filter(({ record }) => level === null || isAtLeast(record, level))
      .map(({ line, record }) => `${JSON.stringify(toRecordLine(line, record))}\n`)
      .join("");
  for await (const chunk of chunks) {
    const text = chunk === null ? "\n" : shown(lines.addBytes({ ...chunk, at: chunk.at.toISOString() }));
    if (text !== "") yield text;
  }
  const rest = shown(lines.flush());
  if (rest !== "") yield rest;
}

function toLine({ bytes, at, ...place }: ReadChunk): LogLine {
  return { ...place, at: at.toISOString(), data: bytes.toString("base64") };
}
