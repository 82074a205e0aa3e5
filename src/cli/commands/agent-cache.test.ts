import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { CacheCare } from "../../agent/cache-care.ts";
import { removeTree } from "../../std/remove-tree.ts";
import { runCli } from "../program.ts";
import { captureConsole } from "../testing/captured-console.ts";
import { runCaptured } from "../testing/run-captured.ts";

/** A worker whose cache holds one blob of long ago, with these bytes. */
function workerOf(t: TestContext, bytes: string) {
  const home = mkdtempSync(join(tmpdir(), "berth-agent-cache-"));
  t.after(() => removeTree(home));
  const digest = hash("sha256", "as it was");
  const folder = join(home, "agent", "cache", "blobs", digest.slice(0, 2));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, digest), bytes);
  chmodSync(join(folder, digest), 0o444);
  utimesSync(join(folder, digest), 1_000_000, 1_000_000);
  const berth = async (...argv: string[]) => {
    const console = captureConsole();
    const unexpected = () => assert.fail("nothing else is started");
    const exitCode = await runCli(["agent", "cache", ...argv], {
      env: { BERTH_HOME: home },
      console,
      version: "1",
      root: home,
      mayInstall: false,
      programs: {
        self: ["false"],
        ...{ startServer: unexpected, startAgent: unexpected, registerAgent: unexpected, loadBackends: unexpected },
        ...{ changeTrust: unexpected, checkPolicy: unexpected },
        registeredWorker: async (agentHome) =>
          agentHome === join(home, "agent") ? { id: "wrk_1", name: "forge-1", server: "http://x" } : null,
        imageCare: unexpected,
        cacheCare: async (agentHome) => new CacheCare(agentHome, { cacheBytesMax: 2 ** 30 }),
      },
    });
    return { exitCode, stdout: console.stdout(), stderr: console.stderr() };
  };
  return { berth, digest };
}

test("the cache of this machine's worker is shown, verified and pruned", async (t) => {
  const { berth } = workerOf(t, "as it was");
  assert.match(
    (await berth("show")).stdout,
    /cache: 9 B of 1\.0 GiB, 1 blobs\nneeded now: 0 B\nlongest unused: \d+ d ago/,
  );
  const verified = await berth("verify");
  assert.deepEqual([verified.exitCode, verified.stdout], [0, "1 blobs hashed, 9 B: all as they were\n"]);
  assert.equal((await berth("prune", "1KiB")).stdout, "0 blobs removed, 0 B; 9 B left\n");
  assert.deepEqual(JSON.parse((await berth("prune", "0", "--json")).stdout), {
    removed: 1,
    removedBytes: 9,
    leftBytes: 0,
  });
});

test("damage is removed and named, and is exit code 1", async (t) => {
  const { berth, digest } = workerOf(t, "as it Was");
  const { exitCode, stdout, stderr } = await berth("verify");
  assert.equal(exitCode, 1);
  assert.equal(stdout, `1 blobs hashed, 9 B: 1 damaged and removed\n  ${digest}\n`);
  assert.match(stderr, /fetched again when a step needs them/);
  assert.equal((await berth("verify")).exitCode, 0);
});

test("a size that is none, and a folder that is no worker's, are refused", async (t) => {
  const { berth } = workerOf(t, "x");
  assert.match((await berth("prune", "much")).stderr, /"much" is no size.*\n.*5GiB/);
  const { exitCode, stderr } = await runCaptured(["agent", "cache", "show"]);
  assert.equal(exitCode, 2);
  assert.match(stderr, /There is no worker in .*--home names/s);
});
