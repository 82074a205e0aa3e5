import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pythons } from "./pythons.ts";
import { createVenv } from "./venv.ts";

const SDK = join(import.meta.dirname, "..");

function run(program: string, args: readonly string[], cwd?: string): string {
  const result = spawnSync(program, args, { encoding: "utf8", cwd });
  assert.equal(result.status, 0, `${program} ${args.join(" ")}\n${result.stdout}\n${result.stderr}`);
  return result.stdout;
}

test("a wheel of the package is built, installed and imported, with its types", (t) => {
  // Without a registry only a Python with setuptools can build one.
  const python = pythons().find(({ path }) => spawnSync(path, ["-c", "import setuptools, wheel"]).status === 0);
  const folder = mkdtempSync(join(tmpdir(), "berth-wheel-"));
  t.after(() => rmSync(folder, { recursive: true }));
  // Building writes beside the sources.
  cpSync(SDK, join(folder, "sdk"), { recursive: true });
  const { path } = python ?? pythons()[0]!;
  if (spawnSync(path, ["-c", "import pip, ensurepip"]).status !== 0) {
    t.skip(`${path} has no pip, or no ensurepip: install python3-pip and python3-venv`);
    return;
  }
  const offline = python === undefined ? [] : ["--no-build-isolation"];
  const pip = ["-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", ...offline];
  run(path, [...pip, "--wheel-dir", join(folder, "dist"), join(folder, "sdk")]);
  const [wheel] = readdirSync(join(folder, "dist"));
  assert.equal(wheel, "berth-0.1.0-py3-none-any.whl");
  const files = run(path, ["-m", "zipfile", "--list", join(folder, "dist", wheel)]);
  for (const part of ["berth/py.typed", "berth/types/csv_type.py"]) assert.ok(files.includes(part), files);
  assert.ok(!files.includes("tests/"), files);

  const venv = createVenv(path, join(folder, "venv"));
  assert.ok(venv !== null);
  const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"];
  run(join(venv, "bin/python"), [...install, join(folder, "dist", wheel)]);
  const code = 'import berth; berth.save("x.csv", [{"a": 1}]); print(berth.__version__, berth.load("x.csv"))';
  assert.equal(run(join(venv, "bin/python"), ["-c", code], folder), "0.1.0 [{'a': '1'}]\n");
});
