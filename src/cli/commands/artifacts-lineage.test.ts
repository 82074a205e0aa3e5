import assert from "node:assert/strict";
import { test } from "node:test";
import { finishDiamond, runDiamond } from "../../../test/setup/lineage-fixture.ts";
import { runServer, takeRun } from "../../../test/setup/run-fixture.ts";
import { testToken, testWorker } from "../../../test/setup/server.ts";
import { runCaptured } from "../testing/run-captured.ts";

test("a lineage is a tree for people, a graph for Graphviz and JSON for programs, and says when it is cut", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const first = await runDiamond(server, worker, { items: 200, fails: true });
  await server.call("developer", { method: "POST", url: `/runs/${first}/restart`, payload: {} });
  await finishDiamond(await takeRun(worker), 200);
  const url = await server.app.listen({ host: "127.0.0.1", port: 0 });
  const token = await testToken(server.services, "viewer", server.project);
  const lineage = async (...argv: string[]) => {
    const answer = await runCaptured(["artifacts", "lineage", ...argv, "--server", url, "--token", token]);
    assert.equal(answer.exitCode, 0, answer.stderr);
    return answer;
  };

  const tree = await lineage("wine/report/summary");
  const lines = tree.stdout.split("\n");
  assert.deepEqual(lines.slice(0, 12), [
    "wine/report/summary/1, 7 B",
    "  made by",
    "  └─ report in wine#2",
    "     ├─ model: wine/train/model/1, 7 B",
    "     │  └─ train in wine#1, taken over by wine#2",
    "     │     └─ train: wine/prepare/train/1, 8 B",
    "     │        └─ prepare in wine#1, taken over by wine#2",
    "     └─ scores: wine/score/scores/1, 200 items, 1.7 KiB",
    "        └─ score in wine#1, 200 step runs, taken over by wine#2",
    "           ├─ batch: wine/prepare/test/1, 8 B",
    "           │  └─ prepare in wine#1, taken over by wine#2 (see above)",
    "           └─ model: wine/train/model/1, 7 B (see above)",
  ]);
  assert.match(tree.stdout, /used by nothing yet/);
  assert.match(tree.stdout, /\nwine#2 {2}version 1 of its pipeline, seed=7, no source, a restart of wine#1, by test/);

  const item = await lineage("wine/score/scores/1", "--item", "7", "--direction", "down");
  assert.match(item.stdout, /^wine\/score\/scores\/1 \(7\), 7 B\n {2}used by\n {2}└─ report in wine#2 as scores\n/);

  const gone = "UPDATE artifact_versions SET expired_at = now(), expired_by = 'test' WHERE ";
  await server.services.database.pool.query(`${gone} name = 'model' OR name = 'scores' AND item < '2'`);
  const expired = (await lineage("wine/report/summary")).stdout;
  assert.match(expired, /model: wine\/train\/model\/1, 7 B, expired\n/);
  assert.match(expired, /wine\/score\/scores\/1, 200 items, 1\.7 KiB, 112 of them expired\n/);

  const dot = await lineage("wine/report/summary/1", "--dot");
  assert.match(dot.stdout, /^digraph lineage \{\n[\s\S]*\}\n$/);
  assert.ok(dot.stdout.includes('"wine/score/scores/1" -> "step wine#2/report" [label="scores"];'));

  const cut = await lineage("wine/report/summary/1", "--depth", "1", "--json");
  assert.deepEqual(JSON.parse(cut.stdout).truncated, [{ limit: "depth", max: 1, direction: "up" }]);
  assert.match(cut.stderr, /warning: this is not all of what it was made from: 1 steps were followed; --depth/);
});
