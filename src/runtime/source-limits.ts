/** What a source folder may be: code and small data that go with every run. Large data are inputs, not source. */
export const SOURCE_LIMITS = {
  unpackedBytesMax: 1024 * 1024 * 1024,
  packedBytesMax: 512 * 1024 * 1024,
  entriesMax: 50_000,
} as const;

export interface SourceLimits {
  readonly unpackedBytesMax: number;
  readonly packedBytesMax: number;
  readonly entriesMax: number;
}

/** Never of use to a run, and large: left out of every source folder at any depth. */
export const ALWAYS_IGNORED = [
  ".git/",
  ".hg/",
  ".svn/",
  "node_modules/",
  "__pycache__/",
  ".venv/",
  ".mypy_cache/",
  ".pytest_cache/",
  ".DS_Store",
] as const;

/** The file in a source folder that says what else is left out, in the language of .gitignore. */
export const IGNORE_FILE = ".berthignore";
