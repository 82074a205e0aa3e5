import { z } from "zod";
import { LogStream } from "./agent-api.ts";
import { LogRecordLine } from "./log-record.ts";

/**
 * Windows of a log by the numbers of its lines, and search in it. A line has its number, from 0, when its end has arrived: in the
 * order of arrival over all streams in question. So the number of a line never changes, whatever arrives after it.
 */

/** Lines of one window. It ends earlier after LOG_WINDOW_MAX_CHARS of text. */
export const LOG_WINDOW_LINES_MAX = 2_000;
export const LOG_WINDOW_MAX_CHARS = 1024 * 1024;
/** Of a longer line only the beginning is shown in a window, or looked at by a search. */
export const LOG_LINE_MAX_BYTES = 16 * 1024;

/** Which lines are counted: of a run, a step or step run, an attempt, a stream. */
export const LogOf = z.object({
  /** A step run's key, a step's name, or a batch with all its items. */
  step: z.string().max(600).optional(),
  attempt: z.coerce.number().int().min(1).max(10_000).optional(),
  stream: LogStream.optional(),
});

/** `GET /runs/:run/logs/lines` */
export const LogWindowQuery = LogOf.extend({
  /** Number of the first line; below 0 so many lines before the end. */
  from: z.coerce.number().int().min(-LOG_WINDOW_LINES_MAX).default(0),
  limit: z.coerce.number().int().min(1).max(LOG_WINDOW_LINES_MAX).default(500),
  /** Where there is no such line yet: waits so long for it, or for the end. */
  waitMs: z.coerce.number().int().min(0).max(25_000).default(0),
});
export type LogWindowQuery = z.infer<typeof LogWindowQuery>;

/** As in a list of log lines; `cut` where there is more of it than is shown. */
export const WindowLine = LogRecordLine.extend({ cut: z.literal(true).optional() });
export type WindowLine = z.infer<typeof WindowLine>;

export const LogWindow = z.object({
  /** How many lines there are so far, and bytes. */
  total: z.int(),
  bytes: z.int(),
  /** Number of the first of `lines`. */
  from: z.int(),
  lines: z.array(WindowLine),
  /** Where the window reaches the end: what has no end of line yet, of each stream. It has no number. */
  open: z.array(WindowLine),
  /** Whether nothing more will come. */
  ended: z.boolean(),
});
export type LogWindow = z.infer<typeof LogWindow>;

/** `GET /runs/:run/logs/search` */
export const LogSearchQuery = LogOf.extend({
  /** What a line is to hold, in any case of letters. */
  q: z.string().min(1).max(200).optional(),
  /** Instead: what looks like an error. */
  errors: z.stringbool().default(false),
  direction: z.enum(["next", "previous"]).default("next"),
  /** `next` looks from this line on, `previous` before it; left out: all of it. */
  from: z.coerce.number().int().min(0).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
});
export type LogSearchQuery = z.infer<typeof LogSearchQuery>;

/** The matches that are nearest to where the search began. */
export const LogMatches = z.object({
  /** In the order of the log. */
  lines: z.array(z.int()),
  /** All that was looked at: from this line on, and before that one. */
  searched: z.object({ from: z.int(), to: z.int() }),
  /** Where the search goes on, as `from`; null at the end, or beginning, of the log. */
  next: z.int().nullable(),
});
export type LogMatches = z.infer<typeof LogMatches>;
