import { matchesGlob } from "./glob.ts";

interface Rule {
  readonly pattern: string;
  readonly negated: boolean;
  readonly folderOnly: boolean;
}

/** More rules than any real file has; each is tried against each path. */
const RULES_MAX = 1_000;

/**
 * The rules of an ignore file in the manner of .gitignore: a pattern without a `/` in it matches at any depth, and nothing
 * below an ignored folder comes back.
 */
export class IgnoreRules {
  readonly #rules: readonly Rule[];

  constructor(text: string) {
    this.#rules = text
      .split(/\r?\n/)
      .slice(0, RULES_MAX)
      .flatMap((line) => ruleOf(line) ?? []);
  }

  /** Whether this entry is left out. The last rule that matches decides. */
  ignores(path: string, isFolder: boolean): boolean {
    let ignored = false;
    for (const { pattern, negated, folderOnly } of this.#rules) {
      if (negated === ignored && (isFolder || !folderOnly) && matchesGlob(pattern, path)) ignored = !negated;
    }
    return ignored;
  }
}

function ruleOf(line: string): Rule | null {
  const text = line.trim();
  if (text === "" || text.startsWith("#")) return null;
  const negated = text.startsWith("!");
  const body = (negated ? text.slice(1) : text).trim();
  const path = body.replace(/\/+$/, "");
  const rooted = path.replace(/^(\.?\/)+/, "");
  if (rooted === "") return null;
  return { pattern: path.includes("/") ? rooted : `**/${rooted}`, negated, folderOnly: body.endsWith("/") };
}
