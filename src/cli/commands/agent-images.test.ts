import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ImageCare } from "../../agent/image-care.ts";
import { runCli } from "../program.ts";
import { captureConsole } from "../testing/captured-console.ts";
import { runCaptured } from "../testing/run-captured.ts";

const idOf = (digit: string) => `sha256:${digit.repeat(64)}`;

/** A worker with an image that a container uses, one without a name, and one more. */
function workerOf(t: TestContext) {
  const home = mkdtempSync(join(tmpdir(), "berth-agent-images-"));
  t.after(() => rmSync(home, { recursive: true }));
  const image = (digit: string, hoursAgo: number, names: readonly string[], neededBy: string | null = null) => {
    return { id: idOf(digit), names, bytes: 2 ** 20, usedAtMs: Date.now() - hoursAgo * 3_600_000, neededBy };
  };
  const images = [
    image("1", 1, ["python:3.13"]),
    image("2", 2, []),
    image("3", 3, ["node:24", "node:lts"], "a container"),
  ];
  const keptImages = { list: async () => images, remove: async () => true };
  const config = { imageBytesMax: 2 ** 30, imagesKept: [] };
  let closed = 0;
  const berth = async (...argv: string[]) => {
    const console = captureConsole();
    const unexpected = () => assert.fail("nothing else is started");
    const exitCode = await runCli(["agent", "images", ...argv], {
      env: { BERTH_HOME: home },
      console,
      version: "1",
      root: home,
      mayInstall: false,
      programs: {
        self: ["false"],
        ...{ startServer: unexpected, startAgent: unexpected, registerAgent: unexpected, loadBackends: unexpected },
        ...{ changeTrust: unexpected, checkPolicy: unexpected, cacheCare: unexpected },
        registeredWorker: async () => ({ id: "wrk_1", name: "forge-1", server: "http://x" }),
        imageCare: async (agentHome) => ({
          care: new ImageCare({ home: agentHome, config, sessions: new Map([["docker", { keptImages }]]) }),
          [Symbol.asyncDispose]: async () => void closed++,
        }),
      },
    });
    return { exitCode, stdout: console.stdout(), stderr: console.stderr(), closed };
  };
  return berth;
}

test("the images of this machine's worker are listed with size, use and what keeps them, the longest unused first", async (t) => {
  const berth = workerOf(t);
  const { exitCode, stdout, stderr, closed } = await berth();
  assert.deepEqual([exitCode, closed], [0, 1]);
  const lines = stdout.trim().split("\n");
  assert.match(lines[0]!, /^IMAGE +SIZE +USED +KEPT BY/);
  assert.match(lines[1]!, /^node:24, node:lts +1\.0 MiB +3 h ago +a container/);
  assert.match(lines[2]!, new RegExp(`^${idOf("2")} +1\\.0 MiB +2 h ago +-`));
  assert.match(stderr, /3\.0 MiB of 1\.0 GiB, 3 images/);
  const { images, budgetBytes } = JSON.parse((await berth("show", "--json")).stdout);
  assert.deepEqual([images.length, images[0].kept, budgetBytes], [3, "a container", 2 ** 30]);
});

test("pruning names what went, and says where to look for what keeps the rest", async (t) => {
  const berth = workerOf(t);
  const pruned = await berth("prune", "0");
  assert.equal(
    pruned.stdout,
    `${idOf("2")} (1.0 MiB)\npython:3.13 (1.0 MiB)\n2 images removed, 2.0 MiB; 1.0 MiB left\n`,
  );
  assert.match(pruned.stderr, /`berth agent images` says what keeps the rest/);
  assert.equal(JSON.parse((await berth("prune", "2MiB", "--json")).stdout).removed.length, 1);
  assert.match((await berth("prune", "much")).stderr, /"much" is no size/);
});

test("a folder that is no worker's is refused", async () => {
  const { exitCode, stderr } = await runCaptured(["agent", "images"]);
  assert.equal(exitCode, 2);
  assert.match(stderr, /There is no worker in/);
});
