/** Eighths of a character, from the bottom. */
const BLOCKS = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"] as const;

export interface ChartOptions {
  /** In characters, without the labels. */
  readonly width: number;
  readonly height: number;
  /** What a value is called beside the axis. */
  label(value: number): string;
}

/**
 * Values over equal stretches of time as columns from zero, the newest on the right; where there are more than columns,
 * each shows the highest of its share. Null is a stretch without a value.
 */
export function renderChart(values: readonly (number | null)[], { width, height, label }: ChartOptions): string[] {
  const columns = shares(values, width);
  const top = Math.max(1, ...columns.filter((value) => value !== null));
  const labels = [label(top), label(0)];
  const margin = Math.max(...labels.map((text) => text.length));
  return Array.from({ length: height }, (_, row) => {
    const text = row === 0 ? labels[0]! : row === height - 1 ? labels[1]! : "";
    const line = columns.map((value) => cell(value, { top, height, fromBottom: height - 1 - row })).join("");
    return `${text.padStart(margin)} │${line}`.trimEnd();
  });
}

/** The same in one line, each value a column. */
export function renderSparkline(values: readonly (number | null)[]): string {
  const top = Math.max(1e-9, ...values.filter((value) => value !== null));
  return values.map((value) => cell(value, { top, height: 1, fromBottom: 0 })).join("");
}

function shares(values: readonly (number | null)[], width: number): (number | null)[] {
  if (values.length <= width) return [...values];
  return Array.from({ length: width }, (_, column) => {
    const from = Math.floor((column * values.length) / width);
    const to = Math.floor(((column + 1) * values.length) / width);
    const known = values.slice(from, to).filter((value) => value !== null);
    return known.length === 0 ? null : Math.max(...known);
  });
}

function cell(
  value: number | null,
  { top, height, fromBottom }: { readonly top: number; readonly height: number; readonly fromBottom: number },
): string {
  if (value === null) return " ";
  const eighths = Math.round((value / top) * height * BLOCKS.length);
  const here = Math.min(BLOCKS.length, eighths - fromBottom * BLOCKS.length);
  // What is little is not nothing.
  if (here <= 0) return fromBottom === 0 && value > 0 ? BLOCKS[0] : " ";
  return BLOCKS[here - 1]!;
}
