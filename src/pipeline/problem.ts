import type { Problem } from "../protocol/errors.ts";

/** Where in the file's tree: `["steps", "clean", "needs", 0]`. */
export type Path = readonly (string | number)[];

/** Of one thousand mistakes in a generated file, people read the first ones. */
export const PROBLEMS_MAX = 100;

/** Longer pieces of the user's text are cut in messages: a name of a thousand characters must not flood a terminal. */
const QUOTED_MAX_CHARS = 60;

/** Control, formatting and bidirectional characters, which could rewrite what a terminal shows. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** The user's text, fit for a message: escaped, cut, in double quotes. */
export function quote(text: string): string {
  return `"${printable(text.replaceAll("\\", "\\\\").replaceAll('"', '\\"'))}"`;
}

function printable(text: string): string {
  const cut = text.length > QUOTED_MAX_CHARS ? `${text.slice(0, QUOTED_MAX_CHARS)}…` : text;
  return cut.replace(UNPRINTABLE, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);
}

/** `steps.clean.needs[0]`; keys that are no plain words are quoted. */
export function formatPath(path: Path): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else if (/^[A-Za-z_][A-Za-z0-9_-]{0,62}$/.test(part)) text += text === "" ? part : `.${part}`;
    else text += `[${quote(part)}]`;
  }
  return text;
}

/** `pipeline.yaml:7:5 steps.clean: unknown key "imge", did you mean "image"?` */
export function formatProblem(fileName: string, problem: Problem): string {
  const position = problem.line === undefined ? "" : `:${problem.line}:${problem.column ?? 1}`;
  const path = problem.path === "" ? "" : ` ${problem.path}`;
  return `${fileName}${position}${path}: ${problem.message}`;
}
