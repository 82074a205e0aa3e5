import assert from "node:assert/strict";
import { test } from "node:test";
import { produce, producer } from "../../../test/setup/retention-fixture.ts";
import {
  inlineOutput,
  runServer,
  showRun,
  started,
  submit,
  succeeded,
  takeRun,
} from "../../../test/setup/run-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";

async function limit(server: TestServer, pipeline: string | null, maxBytes: number): Promise<void> {
  const payload = { pipeline, maxBytes, maxArtifactBytes: null };
  const answer = await server.call("admin", { method: "PUT", url: "/store/quotas", payload });
  assert.equal(answer.statusCode, 200, answer.body);
}

test("what is reported again because the answer was lost is held against no quota a second time", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await produce(server, worker, producer("p"), "x");
  await limit(server, null, 1_000);
  await limit(server, "p", 1_000);
  const { id } = await submit(server, { pipeline: producer("p") });
  const run = await takeRun(worker);
  const events = [
    { type: "run.started", backend: "process" } as const,
    started("make"),
    succeeded("make", [inlineOutput("out", "y".repeat(700))]),
  ];
  assert.equal((await run.reportFrom(1, ...events)).statusCode, 200);
  // At once, and when what there is was counted with it.
  for (const forgotten of [false, true]) {
    if (forgotten) server.services.quotas.forget(server.project);
    const again = await run.reportFrom(1, ...events);
    assert.deepEqual([again.statusCode, again.json().ackedSeq], [200, 3], again.body);
  }
  assert.equal((await showRun(server, id)).state, "running");
});

test("a report that was refused for another reason counts once, and bytes that are there take no more room", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await produce(server, worker, producer("p"), "x".repeat(700));
  await limit(server, null, 1_000);
  await limit(server, "p", 1_500);
  const { id } = await submit(server, { pipeline: producer("p") });
  const run = await takeRun(worker);
  const output = inlineOutput("out", "x".repeat(700));
  const finished = succeeded("make", [output]);
  for (let time = 0; time < 3; time++) {
    const answer = await run.reportFrom(7, finished);
    assert.deepEqual([answer.statusCode, answer.json().error.code], [409, "sequence_gap"], answer.body);
  }
  // As whoever begins an upload again whose end it did not hear of.
  const { services, project } = server;
  await services.quotas.admit({ project, blobs: new Map([[output.content.digest, 700]]) });
  const answer = await run.report({ type: "run.started", backend: "process" }, started("make"), finished);
  assert.equal(answer.statusCode, 200, answer.body);
  assert.equal((await showRun(server, id)).state, "running");
});
