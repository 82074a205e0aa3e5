import { PREVIEW_CELL_MAX_CHARS } from "../../protocol/preview.ts";
import { wellFormed } from "./text.ts";

/** Deeper JSON is none that people read, and would take the stack of whoever walks over it. */
const DEPTH_MAX = 64;
/** Of a list, and keys of an object. */
const MEMBERS_MAX = 100;
/** Of one answer. */
const VALUES_MAX = 5_000;

export type JsonPreview =
  | { readonly ok: true; readonly value: unknown; readonly truncated: boolean }
  | { readonly ok: false; readonly why: string };

/** A JSON text as a value of bounded size. */
export function previewJson(text: string): JsonPreview {
  if (depthOf(text) > DEPTH_MAX) return { ok: false, why: `it is nested deeper than ${DEPTH_MAX} levels` };
  try {
    return { ok: true, ...pruned(JSON.parse(text)) };
  } catch {
    return { ok: false, why: "it is not JSON" };
  }
}

/** The first lines, each of them JSON; an empty one is skipped. */
export function previewJsonLines(text: string, rows: number, isWhole: boolean): JsonPreview {
  const values: unknown[] = [];
  const lines = text.split("\n");
  // The end of the read part may cut the last one.
  if (!isWhole) lines.pop();
  const filled = lines.filter((line) => line.trim() !== "");
  let isCut = !isWhole || filled.length > rows;
  for (const line of filled.slice(0, rows)) {
    const read = previewJson(line);
    if (!read.ok) return { ok: false, why: `of line ${values.length + 1}, ${read.why}` };
    values.push(read.value);
    isCut ||= read.truncated;
  }
  return { ok: true, value: values, truncated: isCut };
}

/** Of the brackets outside of texts; what is no JSON has one, too. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let isInText = false;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (isInText) {
      if (character === 0x5c) at++;
      else if (character === 0x22) isInText = false;
    } else if (character === 0x22) isInText = true;
    else if (character === 0x5b || character === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (character === 0x5d || character === 0x7d) depth--;
  }
  return deepest;
}

function pruned(whole: unknown): { readonly value: unknown; readonly truncated: boolean } {
  let left = VALUES_MAX;
  let isCut = false;
  const cut = <T>(list: readonly T[]): readonly T[] => {
    const kept = list.slice(0, Math.max(0, Math.min(MEMBERS_MAX, left)));
    isCut ||= kept.length < list.length;
    left -= kept.length;
    return kept;
  };
  const prune = (value: unknown): unknown => {
    if (typeof value === "string" && value.length > PREVIEW_CELL_MAX_CHARS) {
      isCut = true;
      return `${wellFormed(value.slice(0, PREVIEW_CELL_MAX_CHARS - 1))}…`;
    }
    if (Array.isArray(value)) return cut(value).map(prune);
    if (typeof value !== "object" || value === null) return value;
    // `__proto__` as a key stays a key.
    return Object.fromEntries(cut(Object.entries(value)).map(([key, member]) => [key, prune(member)]));
  };
  const value = prune(whole);
  return { value, truncated: isCut };
}
