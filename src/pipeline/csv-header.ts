import { BatchInputError } from "./batch-input-error.ts";

/** The header is copied into every item. */
const HEADER_MAX_BYTES = 1024 * 1024;

/** Keeps the first bytes of a file until it is known where its header row ends. */
export class CsvHeader {
  #kept: Uint8Array[] | null = [];
  #length = 0;

  add(chunk: Uint8Array): void {
    if (this.#kept === null) return;
    if (this.#length > HEADER_MAX_BYTES) throw headerTooLong();
    this.#kept.push(chunk);
    this.#length += chunk.length;
  }

  /** The header row with its line break. */
  finish(start: number, end: number): string {
    if (end - start > HEADER_MAX_BYTES) throw headerTooLong();
    const bytes = Buffer.concat(this.#kept ?? []).subarray(start, end);
    this.#kept = null;
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (cause) {
      throw Object.assign(new BatchInputError("the CSV header is not UTF-8", start), { cause });
    }
  }
}

function headerTooLong(): BatchInputError {
  return new BatchInputError(`the first CSV row is longer than ${HEADER_MAX_BYTES} bytes`, 0);
}
