import assert from "node:assert/strict";
import { test } from "node:test";
import {
  chainEvents,
  errorOf,
  inlineOutput,
  runServer,
  started,
  submit,
  succeeded,
  takeRun,
} from "../../../test/setup/run-fixture.ts";
import { testWorker } from "../../../test/setup/server.ts";

test("what a restart takes over comes with the first lease, lineage included; what cannot be restarted says why", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const restart = (run: string, payload: object = {}) =>
    server.call("developer", { method: "POST", url: `/runs/${encodeURIComponent(run)}/restart`, payload });
  const { id } = await submit(server);
  assert.deepEqual([(await restart(id)).statusCode, (await restart(id, { from: "us" })).statusCode], [409, 422]);
  const events = chainEvents();
  assert.equal((await (await takeRun(worker)).report(...events)).statusCode, 200);
  assert.match(errorOf(await restart(id)).message, /nothing to run again/);

  const made = await restart(id, { from: "use", requestKey: "k" });
  assert.equal(made.statusCode, 201, made.body);
  assert.equal((await restart(id, { from: "use", requestKey: "k" })).json().id, made.json().id);
  assert.deepEqual(made.json().restartOf, { id, number: 1 });
  const held = await takeRun(worker);
  assert.deepEqual(
    held.assignment.prior.map(({ stepRun, state, attempts }) => [stepRun, state, attempts]),
    [["make", "succeeded", 0]],
  );
  const { digest } = held.assignment.prior[0]!.outputs.text!;
  const redone = await held.report({ type: "run.started", backend: "process" }, started("make"));
  assert.equal(redone.statusCode, 409, "what was taken over has ended");
  const inputs = [{ name: "text", stepRun: "make", artifact: "text", digest }];
  const wrong = inlineOutput("text", "another").content.digest;
  const lied = [{ name: "text", stepRun: "make", artifact: "text", digest: wrong }];
  assert.equal((await held.report(started("use"), succeeded("use", [], lied))).statusCode, 409);
  const end = { type: "run.finished", state: "succeeded", fault: null } as const;
  const answer = await held.report(started("use"), succeeded("use", [], inputs), end);
  assert.equal(answer.statusCode, 200, answer.body);
  const listed = (await server.call("viewer", { url: `/runs/${made.json().id}/artifacts` })).json().items;
  assert.deepEqual(
    listed.map(({ version, run }: { version: number; run: object }) => [version, run]),
    [[1, { id, number: 1 }]],
  );

  await server.services.database.pool.query("DELETE FROM artifact_inputs");
  await server.services.database.pool.query("DELETE FROM artifact_versions");
  const gone = await restart("chain#2", { from: "use" });
  assert.deepEqual([gone.statusCode, errorOf(gone).details], [410, { artifacts: ["make/text"] }]);
  assert.equal((await restart("chain#2", { from: "make" })).statusCode, 201, "it is made again");
});
