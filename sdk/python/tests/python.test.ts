import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { pythons } from "./pythons.ts";
import { LIBRARIES, venvWith } from "./venv.ts";

const root = join(import.meta.dirname, "..");

for (const { version, path } of pythons()) {
  test(`the SDK for Python passes its own suite under Python ${version}`, (t) => {
    const suite = ["discover", "--start-directory", "tests", "--top-level-directory", "."];
    const { status, stderr } = unittest(path, suite);
    t.diagnostic(stderr.trim().split("\n").slice(-3).join(" "));
    assert.equal(status, 0, stderr);
    // Discovery that finds nothing would pass too.
    assert.match(stderr, /Ran [1-9]\d* tests/);
  });
}

test("frames and arrays of the real libraries go in and out", (t) => {
  const venv = venvWith(pythons().at(-1)!, LIBRARIES);
  if (venv === null) {
    t.skip("the libraries are not here, and no package registry can be reached");
    return;
  }
  const { status, stderr } = unittest(join(venv, "bin/python"), ["tests.with_libraries"]);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /Ran [1-9]\d* tests/);
});

function unittest(python: string, args: readonly string[]) {
  return spawnSync(python, ["-B", "-m", "unittest", ...args], { cwd: root, encoding: "utf8" });
}
