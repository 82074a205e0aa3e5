import assert from "node:assert/strict";
import { test } from "node:test";
import { runDiamond } from "../../../test/setup/lineage-fixture.ts";
import { runServer } from "../../../test/setup/run-fixture.ts";
import { testToken, testWorker } from "../../../test/setup/server.ts";
import { runCaptured } from "../testing/run-captured.ts";

test("a version shows content, maker, tags, how long it is kept, and what is one step before and after it", async (t) => {
  const server = await runServer(t);
  await runDiamond(server, await testWorker(server, { name: "w1" }), { items: 60 });
  const { pool } = server.services.database;
  await pool.query("UPDATE artifact_versions SET expires_at = now() + interval '3 days 1 hour' WHERE name = 'model'");
  await pool.query("UPDATE artifact_versions SET format = 'onnx', schema = '{\"in\": 4}' WHERE name = 'model'");
  const tagged = await server.call("developer", {
    ...{ method: "POST", url: "/artifacts/wine/train/model/1/tags", payload: { set: { stage: "gold" } } },
  });
  assert.equal(tagged.statusCode, 200, tagged.body);
  const url = await server.app.listen({ host: "127.0.0.1", port: 0 });
  const token = await testToken(server.services, "viewer", server.project);
  const show = (...argv: string[]) => runCaptured(["artifacts", "show", ...argv, "--server", url, "--token", token]);
  const model = await show("wine/train/model");
  assert.equal(model.exitCode, 0, model.stderr);
  assert.match(
    model.stdout,
    /^wine\/train\/model\/1\n {2}content {4}model, 7 B, text\/plain\n {2}SHA-256 {4}[0-9a-f]{64}\n/,
  );
  assert.match(model.stdout, /made {7}.*, by train in wine#1\n.*attempt 1, on worker w1\n/);
  assert.match(model.stdout, /format {5}onnx\n {2}schema {5}\{"in":4\}\n {2}tags {7}stage=gold\n/);
  assert.match(model.stdout, /kept {7}until .* \(in 3 d\)\n/);
  assert.match(model.stdout, /made from {2}train: wine\/prepare\/train\/1\n/);
  assert.match(model.stdout, /used for {3}wine\/report\/summary\/1\n {13}wine\/score\/scores\/1, 60 items\n$/);

  const summary = await show("wine/report/summary/1");
  assert.match(
    summary.stdout,
    /made from {2}model: wine\/train\/model\/1\n {13}scores: wine\/score\/scores\/1, 60 items\n/,
  );
  assert.match(summary.stdout, /used for {3}nothing yet\n/);

  const scores = await show("wine/score/scores");
  assert.match(scores.stdout, /^wine\/score\/scores\/1\nITEM +SIZE +STEP RUN +KEPT\n0 +7 B +score\[0\]/);
  assert.match(scores.stderr, /the first 50 items/);
  const item = await show("wine/score/scores", "--item", "7");
  assert.match(item.stdout, /by score\[7\] in wine#1\n/);
  assert.equal((await show("wine/score/scores", "--item", "99")).exitCode, 2);
  assert.equal(JSON.parse((await show("wine/train/model", "--json")).stdout).items[0].run.number, 1);

  await pool.query(
    "UPDATE artifact_versions SET expired_at = now(), expired_by = 'the pipeline keeps 14 d' WHERE name = 'summary'",
  );
  const gone = await show("wine/report/summary/1");
  assert.match(gone.stdout, /kept {7}its content is gone since .*: the pipeline keeps 14 d\n/);
});
