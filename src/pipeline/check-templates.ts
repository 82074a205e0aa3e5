import type { Compilation } from "./compilation.ts";
import { type Path, quote } from "./problem.ts";
import { didYouMean } from "./suggest.ts";
import { FIXED_NAMES, parseTemplate, type Reference, type Scope } from "./template.ts";

/** What templates may name at one place of the file; a scope that is not there cannot be used there. */
export interface Known {
  readonly names: Partial<Readonly<Record<Scope, Iterable<string>>>>;
  /** Names whose definition has a problem of its own. */
  readonly isDamaged: (reference: Reference) => boolean;
}

/** Why a scope is missing, by scope. */
const ABSENT: Partial<Record<Scope, string>> = {
  matrix: "the step has no matrix",
  batch: "the step has no batch",
  inputs: "the step has no inputs",
  outputs: "the step has no outputs",
};

/** Reports templates that are broken or name what is not there. */
export function checkTemplates(text: string, path: Path, known: Known, { problems }: Compilation): void {
  const { parts, problems: broken } = parseTemplate(text);
  for (const { message } of broken) problems.add(path, message);
  for (const part of parts) {
    if (typeof part === "string" || known.isDamaged(part)) continue;
    const { scope, name } = part;
    const names = scope === "run" ? FIXED_NAMES.run : known.names[scope];
    if (names === undefined) {
      problems.add(path, `${quote(`${scope}.${name}`)} cannot be used here: ${ABSENT[scope] ?? "there are none"}`);
      continue;
    }
    const available = Array.from(names, (each) => `${scope}.${each}`);
    const wanted = `${scope}.${name}`;
    if (!available.includes(wanted)) {
      problems.add(path, () => `there is no ${quote(wanted)}${didYouMean(wanted, available)}`);
    }
  }
}

/** A shell does not look for variables between single quotes, so a template there would stay text. */
export function warnOfSingleQuotes(script: string, path: Path, { warnings }: Compilation): void {
  const { parts } = parseTemplate(script);
  const quotes = new QuoteTracker();
  for (const part of parts) {
    if (typeof part === "string") quotes.read(part);
    else if (quotes.inSingleQuotes) {
      const template = `\${{ ${part.scope}.${part.name} }}`;
      warnings.add(path, `${template} stands in single quotes, where the shell leaves it as it is: use double quotes`);
    }
  }
}

/** Follows quotes through a script, comments apart. It only feeds a warning, so heredocs may mislead it. */
class QuoteTracker {
  #quote: "'" | '"' | "#" | null = null;
  #previous = "\n";

  get inSingleQuotes(): boolean {
    return this.#quote === "'";
  }

  read(text: string): void {
    for (let index = 0; index < text.length; index++) {
      const char = text[index]!;
      if (this.#quote === "#") {
        if (char === "\n") this.#quote = null;
      } else if (this.#quote === "'") {
        if (char === "'") this.#quote = null;
      } else if (char === "\\") index++;
      else if (char === '"') this.#quote = this.#quote === '"' ? null : '"';
      else if (this.#quote === null && char === "'") this.#quote = "'";
      else if (this.#quote === null && char === "#" && /\s/.test(this.#previous)) this.#quote = "#";
      this.#previous = char;
    }
  }
}
