import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Python } from "./pythons.ts";

/** What steps use where it is installed. torch is too large for a test. */
export const LIBRARIES = ["numpy", "pandas", "pyarrow", "polars"];
/** Installing takes half a minute where the registry is near; then it is kept. */
const INSTALL_TIMEOUT_MS = 150_000;

/**
 * A virtual environment with these packages, made once per machine below ~/.cache; null where they cannot be had. What is
 * made twice at once is made in folders of its own, and the last one counts.
 */
export function venvWith({ version, path }: Python, packages: readonly string[]): string | null {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "berth-test");
  const key = createHash("sha256").update(packages.join(" ")).digest("hex").slice(0, 12);
  const venv = join(cache, `python${version}-${key}`);
  if (existsSync(join(venv, "complete"))) return venv;
  mkdirSync(cache, { recursive: true });
  const made = createVenv(path, `${venv}-${process.pid}`);
  if (made === null) return null;
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", ...packages];
  const { status, stderr } = spawnSync(join(made, "bin/python"), pip, {
    encoding: "utf8",
    timeout: INSTALL_TIMEOUT_MS,
  });
  if (status !== 0) {
    process.stderr.write(`${packages.join(", ")} could not be installed: ${stderr}\n`);
    rmSync(made, { recursive: true });
    return null;
  }
  mkdirSync(join(made, "complete"));
  // Its programs name the folder that they were made in, so only its Python is used.
  rmSync(venv, { recursive: true, force: true });
  renameSync(made, venv);
  return venv;
}

/** An empty virtual environment, with pip and no more; null where this Python lacks what makes one (python3-venv). */
export function createVenv(python: string, folder: string): string | null {
  if (spawnSync(python, ["-c", "import venv, ensurepip"]).status !== 0) return null;
  const { status, stderr } = spawnSync(python, ["-m", "venv", folder], { encoding: "utf8" });
  if (status !== 0) throw new Error(`no virtual environment can be made by ${python}: ${stderr}`);
  return folder;
}
