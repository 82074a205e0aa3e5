import { stripVTControlCharacters } from "node:util";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

const GAP = "  ";

/** Lines of a table, columns as wide as their widest cell. Cells may be coloured; they hold no line breaks. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const all = [columns.map((column) => column.title), ...rows];
  const widths = columns.map((_, index) => Math.max(...all.map((row) => visibleLength(row[index] ?? ""))));
  const shown = columns.every((column) => column.title === "") ? rows : all;
  return shown.map((row) =>
    columns
      .map((column, index) => padTo(row[index] ?? "", widths[index]!, column.align ?? "left"))
      .join(GAP)
      .trimEnd(),
  );
}

export function visibleLength(text: string): number {
  return charactersOf(stripVTControlCharacters(text)).length;
}

function padTo(text: string, width: number, align: "left" | "right"): string {
  const padding = " ".repeat(Math.max(0, width - visibleLength(text)));
  return align === "left" ? text + padding : padding + text;
}

/** Cuts uncoloured text to a width, with `…` where something is missing. */
export function clip(text: string, width: number): string {
  const characters = charactersOf(text);
  if (characters.length <= width) return text;
  return width <= 0 ? "" : `${characters.slice(0, width - 1).join("")}…`;
}

const segmenter = new Intl.Segmenter();

/** What people take for one character, such as a letter with its accent, or an emoji of several code points. */
function charactersOf(text: string): string[] {
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}
