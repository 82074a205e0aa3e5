import { PREVIEW_TEXT_MAX_CHARS, type PreviewContent } from "../../protocol/preview.ts";

/** A line that is longer is cut: it would fill the screen. */
const LINE_MAX_CHARS = 2_000;

/** UTF-8 as text, without its byte order mark; null for anything else. Of a part, a character that its end cuts is left out. */
export function decodeUtf8(bytes: Uint8Array, isWhole: boolean): string | null {
  if (bytes.includes(0)) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: !isWhole });
  } catch {
    return null;
  }
}

export function previewText(text: string): { readonly content: PreviewContent; readonly truncated: boolean } {
  const head = text.slice(0, PREVIEW_TEXT_MAX_CHARS);
  let isCut = head.length < text.length;
  const lines = head.split("\n").map((line) => {
    if (line.length <= LINE_MAX_CHARS) return line;
    isCut = true;
    return `${wellFormed(line.slice(0, LINE_MAX_CHARS))}…`;
  });
  return { content: { kind: "text", text: wellFormed(lines.join("\n")) }, truncated: isCut };
}

/** Cuts in the middle of a pair of surrogates leave half a character. */
export function wellFormed(text: string): string {
  return text.toWellFormed();
}
