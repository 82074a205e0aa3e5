import type { Content } from "../protocol/artifacts.ts";
import type { BatchPlan } from "../protocol/plan.ts";
import { BatchInputError } from "./batch-input-error.ts";
import { CsvHeader } from "./csv-header.ts";
import { CsvScanner } from "./csv-scanner.ts";
import { JsonScanner } from "./json-scanner.ts";

/** Every item costs a record in the database and a container. */
export const BATCH_ITEMS_MAX = 100_000;
const NEWLINE = 0x0a;

/** One item's share of a file: bytes `[start, end)` between `prefix` and `suffix`; the twin of runtime's BatchSlice. */
export interface ByteSlice {
  readonly kind: "bytes";
  readonly prefix: string;
  readonly start: number;
  readonly end: number;
  readonly suffix: string;
}

/** One item's share of a folder. */
export interface FileSlice {
  readonly kind: "files";
  readonly paths: readonly string[];
}

export type BatchFormat = Exclude<BatchPlan["format"], "auto">;

/** What is counted in this content: what the plan says, or what the content is. */
export function batchFormat(
  content: Pick<Content, "kind" | "fileName">,
  format: BatchPlan["format"] = "auto",
): BatchFormat {
  const isFolder = content.kind === "folder";
  if (format === "auto") return isFolder ? "files" : formatOfFile(content.fileName);
  if (isFolder && format !== "files") throw new BatchInputError(`it is a folder, which cannot be split by ${format}`);
  if (!isFolder && format === "files") throw new BatchInputError("it is a file, and only a folder is split by files");
  return format;
}

function formatOfFile(fileName: string): BatchFormat {
  const ending = /\.([^.]+)$/.exec(fileName)?.[1]?.toLowerCase();
  if (ending === "csv" || ending === "tsv") return "csv";
  return ending === "json" ? "json" : "lines";
}

/** Splits a folder: `paths` of its files, in the order of the manifest. */
export function sliceFiles(paths: readonly string[], size: number): FileSlice[] {
  const slices: FileSlice[] = [];
  for (let start = 0; start < paths.length; start += size) {
    if (slices.length >= BATCH_ITEMS_MAX) throw tooMany(size);
    slices.push({ kind: "files", paths: paths.slice(start, start + size) });
  }
  return slices;
}

/**
 * Splits a file without keeping it: `size` lines, CSV rows or items of a JSON array for each slice, so that every
 * slice is again a file of the format. The same bytes always give the same slices. Throws BatchInputError for what is
 * not of the format.
 */
export async function indexBatch(
  chunks: AsyncIterable<Uint8Array>,
  format: Exclude<BatchFormat, "files">,
  size: number,
): Promise<{ slices: ByteSlice[] }> {
  const index = { lines: indexLines, csv: indexCsv, json: indexJson }[format];
  return { slices: await index(chunks, size) };
}

async function indexLines(chunks: AsyncIterable<Uint8Array>, size: number): Promise<ByteSlice[]> {
  const slices = new SliceBuilder(size, "", "");
  let offset = 0;
  let lineStart = 0;
  for await (const chunk of chunks) {
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) {
      slices.add(lineStart, offset + at + 1);
      lineStart = offset + at + 1;
    }
    offset += chunk.length;
  }
  if (lineStart < offset) slices.add(lineStart, offset);
  return slices.finish();
}

async function indexCsv(chunks: AsyncIterable<Uint8Array>, size: number): Promise<ByteSlice[]> {
  const scanner = new CsvScanner();
  const header = new CsvHeader();
  let slices: SliceBuilder | null = null;
  const onRow = (start: number, end: number) => {
    if (slices === null) slices = new SliceBuilder(size, header.finish(start, end), "");
    else slices.add(start, end);
  };
  for await (const chunk of chunks) {
    header.add(chunk);
    scanner.scan(chunk, onRow);
  }
  scanner.end(onRow);
  return (slices as SliceBuilder | null)?.finish() ?? [];
}

async function indexJson(chunks: AsyncIterable<Uint8Array>, size: number): Promise<ByteSlice[]> {
  const slices = new SliceBuilder(size, "[", "]");
  const scanner = new JsonScanner("array", {
    onValue(depth, start, end) {
      if (depth === 1) slices.add(start, end);
    },
  });
  for await (const chunk of chunks) scanner.scan(chunk);
  scanner.end();
  return slices.finish();
}

/** Groups units that come one after another. */
class SliceBuilder {
  readonly #slices: ByteSlice[] = [];
  readonly #size: number;
  readonly #prefix: string;
  readonly #suffix: string;
  #units = 0;
  #start = 0;
  #end = 0;

  constructor(size: number, prefix: string, suffix: string) {
    this.#size = size;
    this.#prefix = prefix;
    this.#suffix = suffix;
  }

  add(start: number, end: number): void {
    if (this.#units === 0) this.#start = start;
    this.#end = end;
    if (++this.#units === this.#size) this.#close();
  }

  finish(): ByteSlice[] {
    if (this.#units > 0) this.#close();
    return this.#slices;
  }

  #close(): void {
    if (this.#slices.length >= BATCH_ITEMS_MAX) throw tooMany(this.#size);
    this.#slices.push({
      kind: "bytes",
      prefix: this.#prefix,
      start: this.#start,
      end: this.#end,
      suffix: this.#suffix,
    });
    this.#units = 0;
  }
}

function tooMany(size: number): BatchInputError {
  return new BatchInputError(`it makes more than ${BATCH_ITEMS_MAX} items of ${size}: raise batch.size`);
}
