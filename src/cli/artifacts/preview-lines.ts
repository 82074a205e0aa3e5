import type { Preview, PreviewContent } from "../../protocol/preview.ts";
import { formatSize } from "../../std/format-size.ts";
import { plainLines, plainText } from "../terminal/plain-text.ts";
import { clip, renderTable } from "../terminal/table.ts";

/** Of a cell; the whole of it is in --json. */
const CELL_MAX_CHARS = 40;

/** What a preview shows, as lines for a terminal in which nothing of the artifact can act. */
export function previewLines({ content }: Pick<Preview, "content">): string[] {
  switch (content.kind) {
    case "table":
      return tableLines(content);
    case "json":
      if (content.format === "jsonl" && Array.isArray(content.value)) {
        return content.value.map((line) => plainText(JSON.stringify(line)));
      }
      return plainLines(JSON.stringify(content.value, null, 2));
    case "text":
      return content.text === "" ? [] : plainLines(content.text);
    case "image":
      return [`${content.format.toUpperCase()} image, ${sizeOf(content)}`];
    case "folder":
      return renderTable([{ title: "PATH" }, { title: "SIZE", align: "right" }], content.entries.map(entryCells));
    case "arrays":
      return renderTable([{ title: "ARRAY" }, { title: "TYPE" }, { title: "SHAPE" }], content.arrays.map(arrayCells));
    case "binary":
      return [`binary: ${content.type ?? "of no type that is known"}`, `starts with ${content.start}`];
    case "none":
      return [`cannot be previewed: ${plainText(content.why)}`];
  }
}

/** What is said about it, beside it. */
export function previewNotes({ content, truncated, note, size }: Preview): string[] {
  const notes = note === null ? [] : [plainText(note)];
  const more = truncated ? moreOf(content, size) : null;
  return more === null ? notes : [...notes, more];
}

function moreOf(content: PreviewContent, size: number): string | null {
  if (content.kind === "none" || content.kind === "binary" || content.kind === "image") return null;
  if (content.kind === "folder") {
    const next = content.next === null ? "" : `; --cursor ${content.next} goes on`;
    return `${content.entries.length} of ${content.total} entries${next}`;
  }
  if (content.kind === "arrays") return `${content.arrays.length} of ${content.total} arrays`;
  if (content.kind === "table") {
    const rows = content.totalRows === null ? "there are more rows, or longer cells" : `of ${content.totalRows} rows`;
    const columns = content.columns.length < content.totalColumns ? `, of ${content.totalColumns} columns` : "";
    const shown = content.rows.length === 1 ? "1 row is shown" : `${content.rows.length} rows are shown`;
    return `${shown}, ${rows}${columns}`;
  }
  return `there is more: ${formatSize(size)} in all`;
}

function tableLines({ columns, rows }: Extract<PreviewContent, { kind: "table" }>): string[] {
  const titles = columns.map(({ name, type }) => ({ title: clipped(type === null ? name : `${name} (${type})`) }));
  if (titles.every(({ title }) => title === "")) return rows.map((row) => row.map(cellText).join("  "));
  return renderTable(
    titles,
    rows.map((row) => row.map(cellText)),
  );
}

function cellText(value: string | number | boolean | null): string {
  return value === null ? "-" : clipped(String(value));
}

function clipped(text: string): string {
  return clip(plainText(text.replace(/[\r\n]+/g, "⏎")), CELL_MAX_CHARS);
}

function sizeOf({ width, height }: { readonly width: number | null; readonly height: number | null }): string {
  return width === null || height === null ? "of a size that it does not say" : `${width} × ${height}`;
}

type FolderEntry = Extract<PreviewContent, { kind: "folder" }>["entries"][number];

function entryCells({ path, kind, size, target }: FolderEntry): string[] {
  const name = plainText(path);
  if (kind === "folder") return [`${name}/`, ""];
  return kind === "link" ? [`${name} -> ${plainText(target ?? "")}`, ""] : [name, formatSize(size ?? 0)];
}

type ArrayFacts = Extract<PreviewContent, { kind: "arrays" }>["arrays"][number];

function arrayCells({ name, dtype, shape, fortranOrder }: ArrayFacts): string[] {
  return [
    plainText(name),
    plainText(dtype),
    `${shape.join(" × ") || "scalar"}${fortranOrder ? ", Fortran order" : ""}`,
  ];
}
