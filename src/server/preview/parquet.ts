import { Worker } from "node:worker_threads";
import { PREVIEW_COLUMNS_MAX, type PreviewContent } from "../../protocol/preview.ts";
import { type BoundedReader, PreviewLimit } from "./bounded-reader.ts";

type Table = Extract<PreviewContent, { kind: "table" }>;

/** Of the thread that decodes; what it may allocate beside that is counted in there. */
const HEAP_MAX_MB = 192;

export interface ParquetOrder {
  readonly size: number;
  readonly rows: number;
  readonly columnsMax: number;
}

/** What the thread says: it asks for bytes until it has an answer. */
export type ParquetMessage =
  | { readonly kind: "read"; readonly id: number; readonly start: number; readonly end: number }
  | { readonly kind: "done"; readonly table: Table; readonly note: string | null }
  | { readonly kind: "failed"; readonly why: string };

export type ParquetBytes = { readonly id: number; readonly bytes: Uint8Array | null; readonly why: string | null };

/**
 * The first rows of a Parquet file. A file may lie about everything, its decoder believes much of it, and it cannot be
 * interrupted: so it works in a thread of its own with a bounded heap, which is ended when the time is up.
 */
export async function previewParquet(
  reader: BoundedReader,
  rows: number,
): Promise<{ readonly table: Table; readonly note: string | null }> {
  const order: ParquetOrder = { size: reader.size, rows, columnsMax: PREVIEW_COLUMNS_MAX };
  const worker = new Worker(new URL("./parquet-worker.ts", import.meta.url), {
    workerData: order,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MAX_MB, maxYoungGenerationSizeMb: 16 },
    // What a decoder prints about a strange file is no news of the server.
    stdout: true,
    stderr: true,
  });
  const { promise, resolve, reject } = Promise.withResolvers<{ table: Table; note: string | null }>();
  const late = () => reject(new PreviewLimit("decoding it took too long"));
  reader.signal.addEventListener("abort", late, { once: true });
  worker.on("message", (message: ParquetMessage) => {
    if (message.kind === "done") resolve(message);
    else if (message.kind === "failed") reject(new PreviewLimit(message.why));
    else void answer(reader, worker, message);
  });
  worker.on("error", (error: Error & { code?: string }) => {
    const isMemory = error.code === "ERR_WORKER_OUT_OF_MEMORY";
    reject(new PreviewLimit(isMemory ? "decoding it takes too much memory" : `its decoder failed: ${error.message}`));
  });
  worker.on("exit", () => reject(new PreviewLimit("its decoder ended without an answer")));
  try {
    return await promise;
  } finally {
    reader.signal.removeEventListener("abort", late);
    await worker.terminate();
  }
}

async function answer(
  reader: BoundedReader,
  worker: Worker,
  { id, start, end }: Extract<ParquetMessage, { kind: "read" }>,
): Promise<void> {
  const read = (bytes: Uint8Array | null, why: string | null): ParquetBytes => ({ id, bytes, why });
  try {
    worker.postMessage(read(await reader.read(start, end - start), null));
  } catch (error) {
    worker.postMessage(read(null, (error as Error).message));
  }
}
