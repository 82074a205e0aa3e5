import { PREVIEW_CELL_MAX_CHARS, PREVIEW_COLUMNS_MAX, type PreviewContent } from "../../protocol/preview.ts";
import { wellFormed } from "./text.ts";

export interface CsvOrder {
  readonly text: string;
  readonly delimiter: "," | "\t";
  readonly rows: number;
  /** Whether the text is all of the file. */
  readonly isWhole: boolean;
}

export type CsvPreview =
  | { readonly ok: true; readonly content: PreviewContent; readonly truncated: boolean }
  | { readonly ok: false; readonly why: string };

/** The first rows below the header (RFC 4180), or why it is not that: rows of other lengths, quotes that do not match. */
export function previewCsv({ text, delimiter, rows, isWhole }: CsvOrder): CsvPreview {
  const scanner = new Scanner(text, delimiter);
  const header = scanner.row();
  if (header === null) return { ok: false, why: "it is empty" };
  if (typeof header === "string") return { ok: false, why: `its header ${header}` };
  const body: string[][] = [];
  while (body.length < rows && !scanner.isAtEnd()) {
    const row = scanner.row();
    // What the end of the read part cuts is not shown.
    if (row === null || (!isWhole && scanner.isAtEnd())) break;
    const number = body.length + 2;
    if (typeof row === "string") return { ok: false, why: `row ${number} ${row}` };
    if (row.length === 1 && row[0] === "" && header.length > 1) continue;
    if (row.length !== header.length) {
      return { ok: false, why: `row ${number} has ${row.length} fields, and the header has ${header.length}` };
    }
    body.push(row);
  }
  const shown = (row: readonly string[]) => row.slice(0, PREVIEW_COLUMNS_MAX).map(clip);
  const isAll = isWhole && scanner.isAtEnd();
  const isCut = [header, ...body].some((row) => row.some((cell) => cell.length > PREVIEW_CELL_MAX_CHARS));
  return {
    ok: true,
    content: {
      kind: "table",
      format: delimiter === "," ? "csv" : "tsv",
      columns: shown(header).map((name) => ({ name, type: null })),
      rows: body.map(shown),
      totalRows: isAll ? body.length : null,
      totalColumns: header.length,
    },
    truncated: !isAll || isCut || header.length > PREVIEW_COLUMNS_MAX,
  };
}

function clip(cell: string): string {
  return cell.length <= PREVIEW_CELL_MAX_CHARS ? cell : `${wellFormed(cell.slice(0, PREVIEW_CELL_MAX_CHARS - 1))}…`;
}

class Scanner {
  readonly #text: string;
  readonly #delimiter: string;
  #at = 0;

  constructor(text: string, delimiter: string) {
    this.#text = text;
    this.#delimiter = delimiter;
  }

  isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  /** Fields of the next row; null at the end; a text says what is wrong. */
  row(): string[] | string | null {
    if (this.isAtEnd()) return null;
    const fields: string[] = [];
    for (;;) {
      const isQuoted = this.#text[this.#at] === '"';
      const field = isQuoted ? this.#quoted() : this.#plain();
      if (field === null) return "has a quote that is never closed";
      fields.push(field);
      const next = this.#text[this.#at];
      if (next === this.#delimiter) this.#at++;
      else if (next === undefined || this.#lineEnd()) return fields;
      else return "has text after a closing quote";
    }
  }

  #plain(): string {
    const start = this.#at;
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at]!;
      if (character === this.#delimiter || character === "\n" || character === "\r") break;
      this.#at++;
    }
    return this.#text.slice(start, this.#at);
  }

  #quoted(): string | null {
    const start = this.#at + 1;
    for (let from = start; ; ) {
      const quote = this.#text.indexOf('"', from);
      if (quote < 0) return null;
      if (this.#text[quote + 1] !== '"') {
        this.#at = quote + 1;
        return this.#text.slice(start, quote).replaceAll('""', '"');
      }
      from = quote + 2;
    }
  }

  #lineEnd(): boolean {
    const length = this.#text.startsWith("\r\n", this.#at) ? 2 : /[\r\n]/.test(this.#text[this.#at]!) ? 1 : 0;
    this.#at += length;
    return length > 0;
  }
}
