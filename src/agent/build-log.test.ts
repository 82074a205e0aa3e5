import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { BuildLog } from "./build-log.ts";

test("what stands at the beginning is there once, however often the agent was restarted", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "berth-build-log-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (let boot = 0; boot < 2; boot++) {
    const log = new BuildLog(join(folder, "build", "main.log"), { stepRun: "greet", attempt: 1 });
    assert.equal((await log.read(0, 100)).toString(), boot === 0 ? "" : "image is not used\n");
    log.beginWith(["image is not used"]);
    assert.equal((await log.read(0, 100)).toString(), "image is not used\n");
  }
});
