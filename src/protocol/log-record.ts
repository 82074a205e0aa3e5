import { z } from "zod";
import { isShallow } from "./json-value.ts";

/**
 * A structured line of a step's log: the character U+001E and JSON, `{"level", "message", "fields", "at"}`. Logs are kept
 * byte by byte, whatever is in them; what is a record is told when a log is shown.
 */
export const LOG_RECORD_MARK = "\u001e";

/** From the least to the most important. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export const LogLevel = z.enum(LOG_LEVELS);
export type LogLevel = z.infer<typeof LogLevel>;

/** What else logging libraries call theirs. */
const ALIASES: Readonly<Record<string, LogLevel>> = {
  ...{ trace: "debug", verbose: "debug", notice: "info", log: "info", warning: "warn" },
  ...{ err: "error", exception: "error", critical: "error", fatal: "error" },
};

const Record = z.object({
  level: z
    .string()
    .max(20)
    .transform((text) => ALIASES[text.toLowerCase()] ?? text.toLowerCase())
    .pipe(LogLevel)
    .default("info"),
  message: z.string(),
  fields: z.record(z.string(), z.unknown()).refine(isShallow).nullish(),
  at: z.iso.datetime({ offset: true }).nullish().catch(null),
});

export interface LogRecord {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
  /** When its step says that it was; null where it does not, or not as a time. */
  readonly at: string | null;
}

/** One line of `GET /runs/:run/logs?lines=true`, and of `berth logs --json`. */
export const LogRecordLine = z.object({
  stepRun: z.string(),
  attempt: z.int(),
  epoch: z.int(),
  stream: z.enum(["stdout", "stderr", "build"]),
  /** Of its first byte within its stream. */
  offset: z.int(),
  /** When its step says that it was, else when it arrived. */
  at: z.string(),
  /** Null for a line that is no record; then `message` is all of it. */
  level: LogLevel.nullable(),
  message: z.string(),
  fields: z.record(z.string(), z.unknown()).nullable(),
});
export type LogRecordLine = z.infer<typeof LogRecordLine>;

/** Null for a line that is none, or not a whole one: it is shown as it is. */
export function parseLogRecord(line: string): LogRecord | null {
  if (!line.startsWith(LOG_RECORD_MARK)) return null;
  try {
    const { level, message, fields, at } = Record.parse(JSON.parse(line.slice(LOG_RECORD_MARK.length)));
    return { level, message, fields: fields ?? {}, at: at ?? null };
  } catch {
    return null;
  }
}

/** Whether a line is shown where only those of `least` and above are; a line that is no record has no level. */
export function isAtLeast(record: LogRecord | null, least: LogLevel): boolean {
  return record !== null && LOG_LEVELS.indexOf(record.level) >= LOG_LEVELS.indexOf(least);
}
