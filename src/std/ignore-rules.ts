import { matchesGlob } from "./glob.ts";

/**
 * `folder` (.gitignore, .berthignore): a pattern without a `/` in it matches at any depth, and nothing below an ignored
 * folder comes back. `context` (.dockerignore): patterns start at the root, and `!` brings back single files anywhere.
 */
export type IgnoreDialect = "folder" | "context";

interface Rule {
  readonly pattern: string;
  readonly negated: boolean;
  readonly folderOnly: boolean;
}

/** More rules than any real file has; each is tried against each path. */
const RULES_MAX = 1_000;

/** The rules of an ignore file. */
export class IgnoreRules {
  readonly #rules: readonly Rule[];
  readonly #dialect: IgnoreDialect;
  /** Whether a file below an ignored folder may still be wanted. */
  readonly mayComeBack: boolean;

  constructor(text: string, dialect: IgnoreDialect) {
    this.#dialect = dialect;
    this.#rules = text
      .split(/\r?\n/)
      .slice(0, RULES_MAX)
      .flatMap((line) => ruleOf(line, dialect) ?? []);
    this.mayComeBack = dialect === "context" && this.#rules.some(({ negated }) => negated);
  }

  /** Whether this entry is left out. The last rule that matches decides. */
  ignores(path: string, isFolder: boolean): boolean {
    let ignored = false;
    for (const rule of this.#rules) {
      if (rule.negated === ignored && this.#matches(rule, path, isFolder)) ignored = !rule.negated;
    }
    return ignored;
  }

  #matches({ pattern, folderOnly }: Rule, path: string, isFolder: boolean): boolean {
    if ((isFolder || !folderOnly) && matchesGlob(pattern, path)) return true;
    if (this.#dialect === "folder") return false;
    return parentsOf(path).some((parent) => matchesGlob(pattern, parent));
  }
}

function ruleOf(line: string, dialect: IgnoreDialect): Rule | null {
  const text = line.trim();
  if (text === "" || text.startsWith("#")) return null;
  const negated = text.startsWith("!");
  const body = (negated ? text.slice(1) : text).trim();
  const folderOnly = dialect === "folder" && body.endsWith("/");
  const path = body.replace(/\/+$/, "");
  const rooted = path.replace(/^(\.?\/)+/, "");
  if (rooted === "") return null;
  const isAnchored = dialect === "context" || path.includes("/");
  return { pattern: isAnchored ? rooted : `**/${rooted}`, negated, folderOnly };
}

function parentsOf(path: string): string[] {
  const names = path.split("/");
  return names.slice(0, -1).map((_, index) => names.slice(0, index + 1).join("/"));
}
