import { extname, join } from "node:path";

/** A language in which pipelines can be written. */
export interface Language {
  readonly name: string;
  readonly endings: readonly string[];
  /** The program that runs a user's file and writes what it describes: see compile-program.ts. */
  argv(sdk: string): readonly [string, ...string[]];
}

export const LANGUAGES: readonly Language[] = [
  {
    name: "TypeScript",
    endings: [".ts", ".mts", ".js", ".mjs"],
    // Berth's own Node, which strips types.
    argv: (sdk) => [process.execPath, join(sdk, "typescript/compile.js")],
  },
];

/** The language of a file that describes a pipeline as a program; null for YAML and JSON. */
export function languageOf(file: string): Language | null {
  const ending = extname(file).toLowerCase();
  return LANGUAGES.find(({ endings }) => endings.includes(ending)) ?? null;
}
