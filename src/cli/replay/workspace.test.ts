import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { ReplayWorkspace } from "./workspace.ts";

test("what is kept stays beside the other replays, whatever their folder is called", async () => {
  const home = mkdtempSync(join(tmpdir(), "replay_home-"));
  try {
    const replays = join(home, "replays");
    await using workspace = await ReplayWorkspace.open(replays, []);
    mkdirSync(workspace.attemptFolder);
    const kept = await workspace.keep();
    assert.equal(dirname(dirname(kept)), replays);
    assert.ok(existsSync(kept));
  } finally {
    rmSync(home, { recursive: true });
  }
});
