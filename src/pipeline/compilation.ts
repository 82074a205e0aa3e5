import type { CheckedShape } from "./check-shape.ts";
import type { CompileOptions } from "./compile.ts";
import type { PipelineDocument } from "./document.ts";
import { type Path, quote } from "./problem.ts";
import type { ProblemList } from "./problem-list.ts";
import type { PipelineFile } from "./schema.ts";
import { type Scope, variableName } from "./template.ts";

/** What every part of the compiler works with: the file, and where to say what is wrong or odd. */
export interface Compilation {
  readonly file: PipelineFile;
  readonly problems: ProblemList;
  readonly warnings: ProblemList;
  readonly isDamaged: CheckedShape["isDamaged"];
  readonly sourceOf: PipelineDocument["sourceOf"];
  readonly kindOf: CompileOptions["kindOf"];
  /** A text as it stands in the file: `1.10` stays `1.10`. */
  textOf(value: string | number | boolean, path: Path): string;
  textsOf(values: Readonly<Record<string, string | number | boolean>> | undefined, path: Path): Record<string, string>;
  /** Refuses two names that would become the same environment variable. */
  checkVariables(scope: Scope, names: readonly string[], path: Path): void;
}

export function newCompilation(
  { file, isDamaged }: CheckedShape,
  document: PipelineDocument,
  problems: ProblemList,
  warnings: ProblemList,
  kindOf: CompileOptions["kindOf"],
): Compilation {
  const textOf: Compilation["textOf"] = (value, path) =>
    typeof value === "string" ? value : (document.sourceOf(path) ?? String(value));
  return {
    file,
    problems,
    warnings,
    isDamaged,
    sourceOf: document.sourceOf,
    kindOf,
    textOf,
    textsOf: (values, path) =>
      Object.fromEntries(
        Object.entries(values ?? {}).map(([name, value]) => [name, textOf(value, [...path, name])] as const),
      ),
    checkVariables(scope, names, path) {
      const owners = new Map<string, string>();
      for (const name of names) {
        const variable = variableName({ scope, name });
        const owner = owners.get(variable);
        if (owner === undefined) owners.set(variable, name);
        else problems.add([...path, name], `${quote(name)} and ${quote(owner)} would both be ${variable}`, "entry");
      }
    },
  };
}
