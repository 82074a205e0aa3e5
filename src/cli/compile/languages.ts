import { extname, join } from "node:path";

/** A language in which pipelines can be written. */
export interface Language {
  readonly name: string;
  readonly endings: readonly string[];
  /** The program that runs a user's file and writes what it describes: see compile-program.ts. */
  argv(sdk: string, options: ProgramOptions): readonly [string, ...string[]];
  /** Variables of the program beside those that the user has. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What a user may choose about the program that describes a pipeline. */
export interface ProgramOptions {
  /** The Python that runs it. Default: that of the virtual environment which is active, or python3. */
  readonly python?: string;
}

export const LANGUAGES: readonly Language[] = [
  {
    name: "TypeScript",
    endings: [".ts", ".mts", ".js", ".mjs"],
    // Berth's own Node, which strips types.
    argv: (sdk) => [process.execPath, join(sdk, "typescript/compile.js")],
  },
  {
    name: "Python",
    endings: [".py"],
    argv: (sdk, { python }) => [python ?? usualPython(), "-B", join(sdk, "python/compile_pipeline.py")],
    // The order of a set of texts is the same each time.
    env: { PYTHONHASHSEED: "0" },
  },
];

/** Of the option `--python` of commands that take such a program. */
export const PYTHON_HELP = "Python for a pipeline.py (default: of VIRTUAL_ENV, or python3)";

function usualPython(): string {
  const { VIRTUAL_ENV } = process.env;
  return VIRTUAL_ENV === undefined || VIRTUAL_ENV === "" ? "python3" : join(VIRTUAL_ENV, "bin/python");
}

/** The language of a file that describes a pipeline as a program; null for YAML and JSON. */
export function languageOf(file: string): Language | null {
  const ending = extname(file).toLowerCase();
  return LANGUAGES.find(({ endings }) => endings.includes(ending)) ?? null;
}
