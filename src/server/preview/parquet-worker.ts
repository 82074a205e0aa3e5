import { parentPort, workerData } from "node:worker_threads";
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import { type Compressors, type FileMetaData, parquetMetadataAsync, parquetRead, snappyUncompress } from "hyparquet";
import type { ParquetBytes, ParquetMessage, ParquetOrder } from "./parquet.ts";

/** Decodes the first rows of one Parquet file, in a thread that has nothing else to lose. See parquet.ts. */

/** What is allocated outside of the heap, together. */
const BUFFERS_MAX_BYTES = 256 * 1024 * 1024;
/** Of one page, unpacked. */
const PAGE_MAX_BYTES = 32 * 1024 * 1024;
/** Of the columns that are read; the others are only named. */
const COLUMNS_MAX_BYTES = 12 * 1024 * 1024;
const CELL_MAX_CHARS = 500;

boundBuffers(BUFFERS_MAX_BYTES);

const { size, rows, columnsMax } = workerData as ParquetOrder;
const port = parentPort!;
const say = (message: ParquetMessage): void => port.postMessage(message);

const asked = new Map<number, PromiseWithResolvers<ArrayBuffer>>();
port.on("message", ({ id, bytes, why }: ParquetBytes) => {
  const waiting = asked.get(id)!;
  asked.delete(id);
  if (bytes === null) waiting.reject(new Error(why ?? "it cannot be read"));
  else waiting.resolve(new Uint8Array(bytes).buffer);
});

let lastId = 0;
const file = {
  byteLength: size,
  slice(start: number, end: number = size): Promise<ArrayBuffer> {
    const waiting = Promise.withResolvers<ArrayBuffer>();
    const id = ++lastId;
    asked.set(id, waiting);
    say({ kind: "read", id, start, end });
    return waiting.promise;
  },
};

/** Those that Node has are bounded by themselves. */
const compressors: Compressors = {
  SNAPPY: (input, length) => {
    const output = new Uint8Array(pageLength(length));
    snappyUncompress(input, output);
    return output;
  },
  GZIP: (input, length) => gunzipSync(input, { maxOutputLength: pageLength(length) }),
  ZSTD: (input, length) => zstdDecompressSync(input, { maxOutputLength: pageLength(length) }),
  BROTLI: (input, length) => brotliDecompressSync(input, { maxOutputLength: pageLength(length) }),
};

try {
  await preview();
} catch (error) {
  const { message } = error as Error;
  say({
    kind: "failed",
    why: /^parquet/i.test(message) ? message : `it is no Parquet file that can be read: ${message}`,
  });
} finally {
  port.close();
}

async function preview(): Promise<void> {
  const metadata = await parquetMetadataAsync(file, { initialFetchSize: 64 * 1024, geoparquet: false });
  const columns = topColumns(metadata);
  const totalRows = Number(metadata.num_rows);
  if (!Number.isSafeInteger(totalRows) || totalRows < 0)
    throw new Error("its footer says an impossible number of rows");
  const { shown, note } = readable(metadata, columns);
  const table = { kind: "table", format: "parquet", totalRows, totalColumns: columns.length } as const;
  const named = columns.filter(({ name }) => shown.includes(name));
  let read: unknown[][] = [];
  if (shown.length > 0 && totalRows > 0) {
    await parquetRead({
      ...{ file, metadata, compressors, columns: shown, rowStart: 0, rowEnd: Math.min(rows, totalRows) },
      rowFormat: "array",
      geoparquet: false,
      onComplete: (complete) => {
        read = complete;
      },
    });
  }
  const cells = read.slice(0, rows).map((row) => named.map((_, index) => cellOf(row[index])));
  say({ kind: "done", table: { ...table, columns: named, rows: cells }, note });
}

interface TopColumn {
  readonly name: string;
  readonly type: string;
}

/** The columns of the table; what is inside of one that is nested is part of its cells. */
function topColumns({ schema }: FileMetaData): TopColumn[] {
  const [root, ...rest] = schema;
  const columns: TopColumn[] = [];
  let at = 0;
  const skip = (): void => {
    const element = rest[at++];
    for (let child = 0; child < (element?.num_children ?? 0) && at < rest.length; child++) skip();
  };
  while (columns.length < (root?.num_children ?? 0) && at < rest.length) {
    const { name, type, logical_type: logical, converted_type: converted } = rest[at]!;
    columns.push({ name, type: (logical?.type ?? converted ?? type ?? "nested").toLowerCase() });
    skip();
  }
  return columns;
}

/** As many columns, from the left, as their part of the first group of rows may be read. */
function readable(metadata: FileMetaData, columns: readonly TopColumn[]) {
  const sizes = new Map<string, number>();
  for (const { meta_data: meta } of metadata.row_groups[0]?.columns ?? []) {
    const name = meta?.path_in_schema[0];
    if (name !== undefined) sizes.set(name, (sizes.get(name) ?? 0) + Number(meta!.total_compressed_size));
  }
  const shown: string[] = [];
  let total = 0;
  for (const { name } of columns.slice(0, columnsMax)) {
    total += sizes.get(name) ?? 0;
    if (!(total <= COLUMNS_MAX_BYTES)) break;
    shown.push(name);
  }
  const isAll = shown.length === Math.min(columns.length, columnsMax);
  const note = `its first group of rows is large: ${shown.length} of ${columns.length} columns are read`;
  return { shown, note: isAll ? null : note };
}

function pageLength(length: number): number {
  if (length >= 0 && length <= PAGE_MAX_BYTES) return length;
  throw new Error(`one of its pages has ${length} bytes when it is unpacked`);
}

function cellOf(value: unknown): string | number | boolean | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "boolean") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "not a date" : value.toISOString();
  if (value instanceof Uint8Array) return `0x${Buffer.from(value.subarray(0, 32)).toString("hex")}`;
  const text = typeof value === "string" ? value : (JSON.stringify(value, plain) ?? "");
  return text.length <= CELL_MAX_CHARS ? text : `${text.slice(0, CELL_MAX_CHARS - 1).toWellFormed()}…`;
}

function plain(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

/** The decoder allocates what a file says: from here on, only so many bytes in total. */
function boundBuffers(max: number): void {
  let left = max;
  const take = (bytes: number): void => {
    left -= bytes;
    if (!(left >= 0)) throw new Error("decoding it takes too much memory");
  };
  const names = [
    "Uint8Array",
    "Int32Array",
    "Uint32Array",
    "Float32Array",
    "Float64Array",
    "BigInt64Array",
    "BigUint64Array",
  ] as const;
  const world = globalThis as unknown as Record<string, new (...args: unknown[]) => object>;
  for (const name of [...names, "ArrayBuffer"]) {
    const original = world[name]! as (new (...args: unknown[]) => object) & { BYTES_PER_ELEMENT?: number };
    world[name] = new Proxy(original, {
      construct(target, args, newTarget) {
        if (typeof args[0] === "number") take(args[0] * (original.BYTES_PER_ELEMENT ?? 1));
        return Reflect.construct(target, args, newTarget === world[name] ? target : newTarget) as object;
      },
    });
  }
  const OriginalArray = Array;
  world.Array = new Proxy(OriginalArray, {
    construct(target, args, newTarget) {
      if (args.length === 1 && typeof args[0] === "number") take(args[0] * 8);
      return Reflect.construct(target, args, newTarget === world.Array ? target : newTarget) as object;
    },
  }) as never;
}
