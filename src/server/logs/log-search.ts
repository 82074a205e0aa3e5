import type { LogMatches, LogSearchQuery } from "../../protocol/log-windows.ts";
import { LINE_FEED } from "../../std/line-feeds.ts";
import type { Queryable } from "../store/database.ts";
import { logExtent, placeOfLine } from "../store/log-counts.ts";
import type { LogFilter } from "../store/logs.ts";
import { LogReader, type ReadChunk } from "./read-lines.ts";

/** A search answers after this time with what it has found, and says where it goes on. */
const SEARCH_MS = 300;
/** A search backwards reads so many lines forwards at a time. */
const BACKWARD_LINES = 50_000;

/** What looks like an error, in plain text and in structured lines. */
const LOOKS_LIKE_ERROR =
  /(?<![\p{L}\p{N}_])(?:[Ee]rror|ERROR|[Ee]xception|EXCEPTION|[Tt]raceback|[Ff]atal|FATAL|[Pp]anic|PANIC|[Cc]ritical|CRITICAL|\p{Lu}\p{L}*(?:Error|Exception))(?![\p{L}\p{N}_])/gu;

type Search = Pick<LogSearchQuery, "q" | "errors" | "direction" | "from" | "limit">;

/** The nearest lines that match, in bounded time. */
export async function searchLog(db: Queryable, filter: LogFilter, search: Search): Promise<LogMatches> {
  const { lines: total } = await logExtent(db, filter);
  const until = performance.now() + SEARCH_MS;
  const pattern = patternOf(search);
  return search.direction === "next"
    ? searchForwards(db, filter, { ...search, from: Math.min(search.from ?? 0, total), total, pattern, until })
    : searchBackwards(db, filter, { ...search, from: Math.min(search.from ?? total, total), total, pattern, until });
}

interface Prepared extends Pick<Search, "limit"> {
  readonly from: number;
  readonly total: number;
  readonly pattern: RegExp;
  /** By `performance.now()`. */
  readonly until: number;
}

async function searchForwards(db: Queryable, filter: LogFilter, { from, total, limit, pattern, until }: Prepared) {
  const lines: number[] = [];
  let to = from;
  const place = await placeOfLine(db, filter, from);
  if (place !== null) {
    for await (const read of new LogReader(db, filter).from(place)) {
      const { found, end } = matchesIn(read, pattern);
      lines.push(...found.filter((line) => line >= from && line < total));
      to = Math.max(to, Math.min(end, total));
      if (lines.length >= limit || to === total || performance.now() > until) break;
    }
  }
  if (lines.length > limit) to = lines[limit - 1]! + 1;
  return { lines: lines.slice(0, limit), searched: { from, to }, next: to < total ? to : null };
}

/** In pieces from the end on, each of them forwards. */
async function searchBackwards(db: Queryable, filter: LogFilter, { from: end, limit, pattern, until }: Prepared) {
  const lines: number[] = [];
  let from = end;
  while (from > 0 && lines.length < limit && performance.now() <= until) {
    const before = from;
    from = Math.max(0, before - BACKWARD_LINES);
    const place = (await placeOfLine(db, filter, from))!;
    const piece: number[] = [];
    for await (const read of new LogReader(db, filter).from(place)) {
      const { found, end: readTo } = matchesIn(read, pattern);
      piece.push(...found.filter((line) => line >= from && line < before));
      if (readTo >= before) break;
    }
    lines.unshift(...piece);
  }
  if (lines.length > limit) from = lines.at(-limit)!;
  return { lines: lines.slice(-limit), searched: { from, to: end }, next: from > 0 ? from : null };
}

/** Numbers of the lines ending in a chunk that match, and that of the first line after it. */
function matchesIn({ bytes, before, lines, head }: ReadChunk, pattern: RegExp): { found: number[]; end: number } {
  const last = bytes.lastIndexOf(LINE_FEED);
  if (last < 0) return { found: [], end: before };
  const text = Buffer.concat([head.bytes, bytes.subarray(0, last + 1)]).toString("utf8");
  const found: number[] = [];
  let number = before;
  let at = 0;
  const countTo = (place: number) => {
    for (let feed = text.indexOf("\n", at); feed >= 0 && feed < place; feed = text.indexOf("\n", at)) {
      number++;
      at = feed + 1;
    }
  };
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    countTo(match.index);
    found.push(number);
    // One match of a line is enough.
    const feed = text.indexOf("\n", match.index);
    if (feed < 0) break;
    pattern.lastIndex = feed;
  }
  return { found, end: before + lines };
}

function patternOf({ q, errors }: Pick<Search, "q" | "errors">): RegExp {
  // Each search has one of its own, which knows where it is.
  return errors ? new RegExp(LOOKS_LIKE_ERROR) : new RegExp(q!.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"), "gi");
}
