import { LOG_RECORD_MARK, type LogLevel, type LogRecord, parseLogRecord } from "../../protocol/log-record.ts";
import { plainLines, plainText } from "../terminal/plain-text.ts";
import type { Style } from "../terminal/style.ts";

export interface LogTextOptions {
  readonly style: Style;
  /** Whether what is no record is made harmless for a terminal, or left as it was written. */
  readonly clean: boolean;
}

/** A line of a log as people read it: mostly one line, more where a field of a record has several. */
export function logText(text: string, options: LogTextOptions): string[] {
  const record = parseLogRecord(text);
  if (record !== null) return recordText(record, options.style);
  // One that is broken is not passed on either: whoever reads it expects text.
  return [options.clean || text.startsWith(LOG_RECORD_MARK) ? plainText(text) : text];
}

/** `WARN slow answer host=db-1 seconds=3.2`; fields of several lines, such as a traceback, stand below. */
function recordText({ level, message, fields }: LogRecord, style: Style): string[] {
  const [first = "", ...more] = plainLines(message);
  const values = Object.entries(fields).map(([key, value]) => [plainText(key), valueText(value)] as const);
  const short = values
    .filter(([, lines]) => lines.length === 1)
    .map(([key, [value]]) => `${style.dim(`${key}=`)}${value}`);
  const long = values.filter(([, lines]) => lines.length > 1);
  return [
    [paint(level, style), first, ...short].join(" "),
    ...more.map((line) => `  ${line}`),
    ...long.flatMap(([key, lines]) => [style.dim(`  ${key}:`), ...lines.map((line) => `    ${line}`)]),
  ];
}

/** Nothing of it can act on a terminal: escapes in JSON are characters once it is read. */
function valueText(value: unknown): string[] {
  if (typeof value !== "string") return [plainText(JSON.stringify(value) ?? "null")];
  const lines = plainLines(value);
  if (lines.length > 1) return lines;
  return [/^[^\s"=]+$/.test(value) ? lines[0]! : plainText(JSON.stringify(value))];
}

function paint(level: LogLevel, style: Style): string {
  const colour = { debug: style.dim, info: style.cyan, warn: style.yellow, error: style.red }[level];
  return colour(level.toUpperCase());
}
