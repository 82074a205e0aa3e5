/** Columns of the text that are shown around the place of a problem. */
const SHOWN_CHARS = 60;

/** The message, and below it the line of the text with a mark under the place. */
export function withCaret(text: string, message: string, at: number): string {
  const start = text.lastIndexOf("\n", at - 1) + 1;
  const end = text.indexOf("\n", at);
  const line = text.slice(start, end < 0 ? undefined : end);
  const from = Math.max(0, at - start - SHOWN_CHARS / 2);
  const shown = line.slice(from, from + SHOWN_CHARS);
  return `${message}\n    ${shown}\n    ${" ".repeat(at - start - from)}^`;
}
