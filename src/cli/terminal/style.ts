import { styleText } from "node:util";

type Format = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** Colours, or nothing of them: callers never ask where the text goes. */
export type Style = Readonly<Record<Format, (text: string) => string>>;

const FORMATS: readonly Format[] = ["bold", "dim", "red", "green", "yellow", "cyan"];

export function createStyle(coloured: boolean): Style {
  const paint = (format: Format) => (text: string) =>
    coloured ? styleText(format, text, { validateStream: false }) : text;
  return Object.fromEntries(FORMATS.map((format) => [format, paint(format)])) as Style;
}
