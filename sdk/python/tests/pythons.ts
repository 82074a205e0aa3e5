import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** The oldest that steps may have. */
const OLDEST = 9;

export interface Python {
  /** Such as 3.9. */
  readonly version: string;
  readonly path: string;
}

/** The oldest and the newest Python that is here and that steps may have: at least one, sometimes the same. */
export function pythons(): readonly Python[] {
  const found = new Map<number, string>();
  for (const path of candidates()) {
    const { stdout, status } = spawnSync(path, ["-c", "import sys; print(*sys.version_info[:2])"], {
      encoding: "utf8",
    });
    const [major, minor] = (stdout ?? "").trim().split(" ").map(Number);
    if (status === 0 && major === 3 && minor! >= OLDEST && !found.has(minor!)) found.set(minor!, path);
  }
  const minors = [...found.keys()].sort((a, b) => a - b);
  if (minors.length === 0) throw new Error("there is no Python 3.9 or later on the PATH: install python3");
  return [...new Set([minors[0]!, minors.at(-1)!])].map((minor) => ({
    version: `3.${minor}`,
    path: found.get(minor)!,
  }));
}

/** What the PATH has, and what pyenv keeps beside it. */
function candidates(): string[] {
  const onPath = (process.env.PATH ?? "")
    .split(":")
    .flatMap((folder) => (existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []))
    .filter((path) => /\/python3(\.\d+)?$/.test(path));
  const versions = join(process.env.PYENV_ROOT ?? join(homedir(), ".pyenv"), "versions");
  const ofPyenv = existsSync(versions) ? readdirSync(versions).map((name) => join(versions, name, "bin/python3")) : [];
  return [...onPath, ...ofPyenv.filter((path) => existsSync(path))];
}
