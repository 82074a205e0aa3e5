import type { PreviewContent } from "../../protocol/preview.ts";
import { type BoundedReader, PreviewLimit } from "./bounded-reader.ts";
import { previewCsv } from "./csv.ts";
import { imageOf, svgOf } from "./image-size.ts";
import { previewJson, previewJsonLines } from "./json.ts";
import { magicOf } from "./magic.ts";
import { isNpy, npyArray, npzArrays } from "./numpy.ts";
import { previewParquet } from "./parquet.ts";
import { decodeUtf8, previewText } from "./text.ts";

/** Read of each file: text, tables and the headers of images are judged by it. */
const HEAD_BYTES = 256 * 1024;
/** A JSON text is read whole or not at all: the beginning of one is no JSON. */
const JSON_MAX_BYTES = 2 * 1024 * 1024;
const BINARY_START_BYTES = 32;

export interface FileFacts {
  readonly fileName: string;
  readonly contentType: string;
}

export interface FilePreview {
  readonly content: PreviewContent;
  readonly truncated: boolean;
  readonly note: string | null;
}

/**
 * What can be seen of a file. Its bytes decide, then its name: what is not what it is named is shown as what it is, with a
 * note. Nothing of a file makes this throw, but a store that fails.
 */
export async function previewFile(reader: BoundedReader, facts: FileFacts, rows: number): Promise<FilePreview> {
  try {
    const head = await reader.read(0, HEAD_BYTES);
    return (await byBytes(reader, head, facts, rows)) ?? (await byText(reader, head, facts, rows));
  } catch (error) {
    if (!(error instanceof PreviewLimit)) throw error;
    return { content: { kind: "none", why: error.message }, truncated: true, note: null };
  }
}

async function byBytes(
  reader: BoundedReader,
  head: Buffer,
  { fileName }: FileFacts,
  rows: number,
): Promise<FilePreview | null> {
  const image = imageOf(head);
  if (image !== null) return whole(image);
  const start = head.toString("latin1", 0, 4);
  if (start === "PAR1") {
    const { table, note } = await previewParquet(reader, rows);
    const isAll = table.rows.length === table.totalRows && table.columns.length === table.totalColumns;
    return { content: table, truncated: !isAll, note };
  }
  if (isNpy(head)) return whole(await npyArray(reader, fileName));
  if (start === "PK\x03\x04" && fileName.toLowerCase().endsWith(".npz")) {
    const arrays = await npzArrays(reader);
    return { content: arrays, truncated: arrays.arrays.length < arrays.total, note: null };
  }
  return null;
}

async function byText(reader: BoundedReader, head: Buffer, facts: FileFacts, rows: number): Promise<FilePreview> {
  const isWhole = head.length === reader.size;
  const text = decodeUtf8(head, isWhole);
  // Some binary formats begin with text; no text begins like them.
  const type = magicOf(head);
  if (text === null || (type !== null && /^(PDF|SQLite|pickle)/.test(type))) {
    const content = { kind: "binary", type, start: head.toString("hex", 0, BINARY_START_BYTES) } as const;
    return { content, truncated: reader.size > BINARY_START_BYTES, note: noteOf(facts, text) };
  }
  const svg = svgOf(text);
  if (svg !== null) return whole(svg);
  const format = formatOf(facts);
  if (format === "csv" || format === "tsv") {
    const read = previewCsv({ text, delimiter: format === "csv" ? "," : "\t", rows, isWhole });
    return read.ok ? { ...read, note: null } : asText(text, isWhole, `it is not ${format.toUpperCase()}: ${read.why}`);
  }
  if (format === "jsonl") {
    const read = previewJsonLines(text, rows, isWhole);
    if (!read.ok) return asText(text, isWhole, `it is not JSON lines: ${read.why}`);
    return { content: { kind: "json", format, value: read.value }, truncated: read.truncated, note: null };
  }
  if (format !== "json") return asText(text, isWhole, null);
  if (reader.size > JSON_MAX_BYTES) return asText(text, isWhole, "it is too large to be shown as JSON");
  const all = isWhole ? text : decodeUtf8(await reader.read(0, reader.size), true);
  const read = all === null ? ({ ok: false, why: "it is not UTF-8" } as const) : previewJson(all);
  if (!read.ok) return asText(text, isWhole, read.why);
  return { content: { kind: "json", format, value: read.value }, truncated: read.truncated, note: null };
}

function whole(content: PreviewContent): FilePreview {
  return { content, truncated: false, note: null };
}

function asText(text: string, isWhole: boolean, note: string | null): FilePreview {
  const { content, truncated } = previewText(text);
  return { content, truncated: truncated || !isWhole, note };
}

/** Of what is named like a text and is none. */
function noteOf(facts: FileFacts, text: string | null): string | null {
  const format = formatOf(facts);
  if (format !== null && text === null) return `it is named like ${format}, and is not text in UTF-8`;
  if (/\.parquet$/i.test(facts.fileName)) return "it is named like parquet, and does not begin like it";
  return null;
}

function formatOf({ fileName, contentType }: FileFacts): "csv" | "tsv" | "json" | "jsonl" | null {
  const extension = /\.([a-z]+)$/.exec(fileName.toLowerCase())?.[1];
  if (extension === "csv" || extension === "tsv" || extension === "json" || extension === "jsonl") return extension;
  if (extension === "ndjson") return "jsonl";
  const type = contentType.split(";")[0]!.trim();
  if (type === "text/csv") return "csv";
  if (type === "text/tab-separated-values") return "tsv";
  if (type === "application/x-ndjson" || type === "application/jsonl") return "jsonl";
  return type === "application/json" || type.endsWith("+json") ? "json" : null;
}
