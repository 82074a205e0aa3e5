import type { Gather } from "../protocol/plan.ts";
import { BatchInputError } from "./batch-input-error.ts";
import { CsvHeader } from "./csv-header.ts";
import { CsvScanner } from "./csv-scanner.ts";
import { JsonScanner } from "./json-scanner.ts";

/** The bytes of each item, in item order; drawn one by one, so that only one need be open at a time. */
export type ItemStreams = Iterable<AsyncIterable<Uint8Array>> | AsyncIterable<AsyncIterable<Uint8Array>>;

const NEWLINE = 0x0a;
const LINE_BREAK = Uint8Array.of(NEWLINE);

/**
 * Joins the outputs of a batch or matrix step to one file, without keeping it. Throws BatchInputError, which names the
 * item, when an output is not of the format.
 */
export function gather(format: Exclude<Gather, "single" | "folder">, items: ItemStreams): AsyncGenerator<Uint8Array> {
  const join = { lines: gatherLines, csv: gatherCsv, json: gatherJson }[format];
  return join(items);
}

/** All lines, each item's last one ended if it was not. */
export async function* gatherLines(items: ItemStreams): AsyncGenerator<Uint8Array> {
  for await (const item of items) yield* endingLine(item);
}

/** The header once, and the rows of all items. An item without even a header adds nothing. */
export async function* gatherCsv(items: ItemStreams): AsyncGenerator<Uint8Array> {
  let common: string | null = null;
  let index = 0;
  /** What a header adds to the output: itself if it is the first. */
  const take = (header: string): Uint8Array => {
    const isFirst = common === null;
    common ??= header;
    if (header === common) return Buffer.from(isFirst ? `${header}\n` : "");
    const difference = `${shown(header)}, not ${shown(common)}`;
    throw new BatchInputError(`its CSV header is another than those before: ${difference}`);
  };
  for await (const item of items) {
    yield* endingLine(withHeader(item, index, take));
    index++;
  }
}

/** An array with one element per item: each item is one JSON document. */
export async function* gatherJson(items: ItemStreams): AsyncGenerator<Uint8Array> {
  yield Buffer.from("[");
  let index = 0;
  for await (const item of items) {
    if (index > 0) yield Buffer.from(",\n");
    yield* checkedJson(item, index);
    index++;
  }
  yield Buffer.from("]\n");
}

async function* endingLine(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let last: number = NEWLINE;
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    last = chunk.at(-1)!;
    yield chunk;
  }
  if (last !== NEWLINE) yield LINE_BREAK;
}

async function* checkedJson(chunks: AsyncIterable<Uint8Array>, index: number): AsyncGenerator<Uint8Array> {
  const scanner = new JsonScanner("any", { onValue() {} });
  for await (const chunk of chunks) {
    inItem(index, () => scanner.scan(chunk));
    yield chunk;
  }
  inItem(index, () => scanner.end());
}

/** A CSV file with its header put through `take`. */
async function* withHeader(
  chunks: AsyncIterable<Uint8Array>,
  index: number,
  take: (header: string) => Uint8Array,
): AsyncGenerator<Uint8Array> {
  const scanner = new CsvScanner();
  const kept = new CsvHeader();
  const rows: { readonly start: number; readonly end: number }[] = [];
  const onRow = (start: number, end: number) => {
    if (rows.length === 0) rows.push({ start, end });
  };
  const takeFirst = ({ start, end }: { start: number; end: number }) =>
    inItem(index, () => take(plainHeader(kept.finish(start, end))));
  let read = 0;
  for await (const chunk of chunks) {
    if (rows.length > 0) {
      yield chunk;
      continue;
    }
    inItem(index, () => {
      kept.add(chunk);
      scanner.scan(chunk, onRow);
    });
    for (const first of rows) {
      yield takeFirst(first);
      yield chunk.subarray(first.end - read);
    }
    read += chunk.length;
  }
  if (rows.length > 0) return;
  // A file that ends within its first row has no rows below it.
  inItem(index, () => scanner.end(onRow));
  for (const first of rows) yield takeFirst(first);
}

function plainHeader(header: string): string {
  return header.replace(/^\ufeff/, "").replace(/\r?\n$/, "");
}

function shown(header: string): string {
  return JSON.stringify(header.length > 100 ? `${header.slice(0, 100)}…` : header);
}

/** Says which item it was. */
function inItem<T>(index: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof BatchInputError)) throw error;
    throw new BatchInputError(`item ${index}: ${error.message}`);
  }
}
