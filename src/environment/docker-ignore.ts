import { type IgnorePattern, parsePattern } from "./docker-ignore-pattern.ts";

/** A line of an ignore file that Docker's builders refuse, too. */
export class DockerIgnoreProblem extends Error {
  override readonly name = "DockerIgnoreProblem";
}

interface Rule {
  readonly bringsBack: boolean;
  readonly pattern: IgnorePattern;
}

/** Which rules match a folder, by their order; its entries go on from there. */
export type FolderMatches = readonly boolean[];

/** More rules than any real file has; each is tried against each path. */
const RULES_MAX = 1_000;

/**
 * The rules of a `.dockerignore`, as BuildKit reads it: patterns start at the root of the context and take all that is
 * below a match; `**` is any number of folders; `!` brings back, and the last rule that matches decides. The table of
 * docker-ignore.test.ts was made by the real one.
 */
export class DockerIgnore {
  readonly #rules: readonly Rule[];
  /** Whether a file below an ignored folder may still be wanted. */
  readonly mayComeBack: boolean;

  /** Throws DockerIgnoreProblem. */
  constructor(text: string) {
    const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
    this.#rules = lines.flatMap((line, index) => ruleOf(line, index + 1) ?? []);
    if (this.#rules.length > RULES_MAX) throw new DockerIgnoreProblem(`it has more than ${RULES_MAX} rules`);
    this.mayComeBack = this.#rules.some(({ bringsBack }) => bringsBack);
  }

  /** Whether an entry is left out; `folder` is what `matches` gave for the folder that it lies in, null for the root. */
  decide(path: string, folder: FolderMatches | null): { readonly ignored: boolean; readonly matches: FolderMatches } {
    let ignored = false;
    const matches = this.#rules.map(({ bringsBack, pattern }, index) => {
      // A rule that would change nothing is not even tried, and so is not one that matched for what is below.
      const isMatch = folder?.[index] === true || (bringsBack === ignored && pattern.matches(path));
      if (isMatch) ignored = !bringsBack;
      return isMatch;
    });
    return { ignored, matches };
  }
}

/** Only a `#` in the first column starts a comment; blanks around a pattern, and after its `!`, do not count. */
function ruleOf(line: string, number: number): Rule | null {
  const text = line.trim();
  if (line.startsWith("#") || text === "") return null;
  const bringsBack = text.startsWith("!");
  const cleaned = clean(bringsBack ? text.slice(1).trim() : text);
  if (cleaned === "") throw new DockerIgnoreProblem(`line ${number} is a "!" without a pattern`);
  try {
    return { bringsBack, pattern: parsePattern(cleaned) };
  } catch (error) {
    const why = (error as Error).message;
    throw new DockerIgnoreProblem(`line ${number}, ${JSON.stringify(text)}, is no pattern: ${why}`, { cause: error });
  }
}

/** Without empty names, `.`, `..` after a name, and slashes at either end. */
function clean(path: string): string {
  const isRooted = path.startsWith("/");
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    const isUp = name === ".." && (isRooted || (names.length > 0 && names.at(-1) !== ".."));
    if (isUp) names.pop();
    else names.push(name);
  }
  if (names.length > 0) return names.join("/");
  return path === "" ? "" : isRooted ? "/" : ".";
}
