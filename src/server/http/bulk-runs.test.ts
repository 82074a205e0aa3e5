import assert from "node:assert/strict";
import { test } from "node:test";
import { chainEvents, runServer, showRun, submit, takeRun } from "../../../test/setup/run-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";
import { BULK_RUNS_MAX, type BulkCancelled, type BulkRestarted } from "../../protocol/run-lists.ts";

async function post<T>(server: TestServer, url: string, payload: object): Promise<T> {
  const answer = await server.call("developer", { method: "POST", url, payload });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json();
}

test("several runs are cancelled by one request, and what refuses one keeps none of the others", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await submit(server);
  await (await takeRun(worker)).report(...chainEvents());
  const running = await submit(server);
  await takeRun(worker);
  const queued = await submit(server);
  const { items } = await post<BulkCancelled>(server, "/runs/cancel", {
    runs: ["chain#1", "chain#99", running.id, "chain#3", "chain#3"],
    reason: "wrong input",
  });
  assert.deepEqual(
    items.map(({ run, state, error }) => [run, state, error?.code]),
    [
      ["chain#1", null, "conflict"],
      ["chain#99", null, "not_found"],
      [running.id, "cancelling", undefined],
      ["chain#3", "cancelled", undefined],
    ],
  );
  assert.equal((await showRun(server, queued.id)).cancel?.reason, "wrong input");
});

test("several runs are restarted by one request, once however often it is sent", async (t) => {
  const server = await runServer(t);
  await submit(server);
  await submit(server);
  await post(server, "/runs/cancel", { runs: ["chain#1"] });
  const restart = () =>
    post<BulkRestarted>(server, "/runs/restart", { runs: ["chain#1", "chain#2"], requestKey: "again" });
  const first = await restart();
  assert.deepEqual(
    first.items.map(({ run, made, error }) => [run, made?.pipeline, made?.number, error?.code]),
    [
      ["chain#1", "chain", 3, undefined],
      ["chain#2", undefined, undefined, "conflict"],
    ],
  );
  assert.match(first.items[1]!.error!.advice!, /berth cancel/);
  assert.deepEqual((await restart()).items[0]!.made, first.items[0]!.made);
  assert.equal((await showRun(server, "latest")).restartOf?.number, 1);
});

test("a request names some runs and not too many, and developers alone may send it", async (t) => {
  const server = await runServer(t);
  const many = Array.from({ length: BULK_RUNS_MAX + 1 }, (_, index) => `chain#${index + 1}`);
  for (const url of ["/runs/cancel", "/runs/restart"]) {
    for (const runs of [[], many]) {
      const { statusCode } = await server.call("developer", { method: "POST", url, payload: { runs } });
      assert.equal(statusCode, 400);
    }
    const { statusCode } = await server.call("viewer", { method: "POST", url, payload: { runs: ["chain#1"] } });
    assert.equal(statusCode, 403);
  }
});
