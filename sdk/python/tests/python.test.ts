import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

test("the step SDK for Python passes its own suite", (t) => {
  const command = ["-B", "-m", "unittest", "discover", "--start-directory", "tests", "--top-level-directory", "."];
  const suite = spawnSync("python3", command, { cwd: join(import.meta.dirname, ".."), encoding: "utf8" });
  t.diagnostic(suite.stderr.trim().split("\n").slice(-3).join(" "));
  assert.equal(suite.status, 0, suite.stderr);
  // Discovery that finds nothing would pass too.
  assert.match(suite.stderr, /Ran [1-9]\d* tests/);
});
