import { BatchInputError } from "./batch-input-error.ts";

const [QUOTE, NEWLINE, RETURN] = [0x22, 0x0a, 0x0d];
/** A quote opens a field only behind one of these, so that 5" stays five inches in any of the usual dialects. */
const DELIMITERS = new Set([",", ";", "\t", "|"].map((char) => char.charCodeAt(0)));

/** Finds the ends of CSV rows in bytes that come in chunks: a newline within quotes ends none. */
export class CsvScanner {
  #state: "field-start" | "plain" | "quoted" | "quote-in-quoted" = "field-start";
  #offset = 0;
  #quoteAt = 0;
  #rowStart = 0;
  /** Whether the row holds anything but its line break. */
  #isBlank = true;

  /** Calls `onRow` behind the line break of each row that is not blank. */
  scan(chunk: Uint8Array, onRow: (start: number, end: number) => void): void {
    for (const byte of chunk) {
      this.#step(byte, onRow);
      this.#offset++;
    }
  }

  /** The last row may lack its line break. */
  end(onRow: (start: number, end: number) => void): void {
    if (this.#state === "quoted") throw new BatchInputError("a quoted CSV field is never closed", this.#quoteAt);
    if (!this.#isBlank) onRow(this.#rowStart, this.#offset);
  }

  #step(byte: number, onRow: (start: number, end: number) => void): void {
    if (this.#state === "quoted") {
      if (byte === QUOTE) this.#state = "quote-in-quoted";
      return;
    }
    if (byte === NEWLINE) {
      if (!this.#isBlank) onRow(this.#rowStart, this.#offset + 1);
      this.#state = "field-start";
      this.#rowStart = this.#offset + 1;
      this.#isBlank = true;
      return;
    }
    if (byte !== RETURN) this.#isBlank = false;
    if (byte === QUOTE && this.#state !== "plain") {
      if (this.#state === "field-start") this.#quoteAt = this.#offset;
      this.#state = "quoted";
    } else this.#state = DELIMITERS.has(byte) ? "field-start" : "plain";
  }
}
