import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAIN, chainEvents, runServer, started, submit, succeeded, takeRun } from "../../../test/setup/run-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";
import { fault } from "../../protocol/faults.ts";
import { OVERVIEW_BUCKETS, type Overview } from "../../protocol/overview.ts";
import type { PipelineSummary } from "../../protocol/resources.ts";

async function get<T>(server: TestServer, url: string): Promise<T> {
  const answer = await server.call("viewer", { url });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json();
}

const WHY = fault("exit-nonzero", "make failed: exit code 1");
const FAILS = [
  { type: "run.started", backend: "process" } as const,
  started("make"),
  succeeded("make", [], [], { state: "failed", stepState: "failed", exitCode: 1, fault: WHY }),
  { type: "run.finished", state: "failed", fault: WHY } as const,
];

test("a project without runs has an overview without figures", async (t) => {
  const server = await runServer(t);
  const { live, failing, waiting, ended, buckets, complete } = await get<Overview>(server, "/overview");
  assert.deepEqual([live, failing, waiting], [{ queued: 0, running: 0, cancelling: 0 }, [], []]);
  assert.deepEqual([ended.successRate, ended.queueMs, complete, buckets.length], [null, null, true, OVERVIEW_BUCKETS]);
});

test("an overview says what fails now and how often, what waits and why, and how runs ended over time", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server, { name: "here" });
  const other = CHAIN.replace("name: chain", "name: other");
  for (const [pipeline, events] of [
    [CHAIN, chainEvents()],
    [CHAIN, FAILS],
    [CHAIN, FAILS],
    [other, FAILS],
    [other, chainEvents()],
  ] as const) {
    await submit(server, { pipeline });
    assert.equal((await (await takeRun(worker)).report(...events)).statusCode, 200);
  }
  await submit(server, { pool: "elsewhere" });
  await submit(server, { pool: "elsewhere" });
  await submit(server, { pipeline: other, labels: ["gpu"] });
  // One was queued for a minute, a day ago.
  const { rowCount } = await server.services.database.pool.query(
    `UPDATE runs SET created_at = finished_at - interval '23 hours 31 min', started_at = finished_at - interval '23 hours 30 min',
       finished_at = finished_at - interval '23 hours 29 min' WHERE number = 1 AND state = 'succeeded'`,
  );
  assert.equal(rowCount, 1);
  const overview = await get<Overview>(server, "/overview?hours=24");
  assert.deepEqual(overview.live, { queued: 3, running: 0, cancelling: 0 });
  assert.deepEqual(
    overview.failing.map(({ pipeline, run, fault: why, failedInARow }) => [
      pipeline,
      run.number,
      why?.code,
      failedInARow,
    ]),
    [["chain", 3, "exit-nonzero", 2]],
  );
  assert.deepEqual(
    overview.waiting.map(({ count, possible, oldest }) => [count, possible, oldest.pipeline, oldest.number]),
    [
      [2, false, "chain", 4],
      [1, false, "other", 3],
    ],
  );
  assert.match(overview.waiting[0]!.summary, /for pool elsewhere/);
  const { succeeded: made, failed, successRate } = overview.ended;
  assert.deepEqual([made, failed, successRate], [2, 3, 0.4]);
  const used = overview.buckets.flatMap(({ succeeded: good, failed: bad, queueMs }, index) =>
    good + bad > 0 ? [[index, good, bad, Math.round((queueMs?.median ?? 0) / 60_000)]] : [],
  );
  assert.deepEqual(used, [
    [0, 1, 0, 1],
    [23, 1, 3, 0],
  ]);
  assert.equal((await get<Overview>(server, "/overview?hours=1")).ended.succeeded, 1);
});

test("of each pipeline as many of its newest runs are told as are asked for, with its success rate", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  for (const events of [chainEvents(), FAILS]) {
    await submit(server);
    await (await takeRun(worker)).report(...events);
  }
  await submit(server);
  const [pipeline] = (await get<{ items: PipelineSummary[] }>(server, "/pipelines?recent=10")).items;
  assert.deepEqual(
    pipeline!.recent.map(({ number, state }) => [number, state]),
    [
      [3, "queued"],
      [2, "failed"],
      [1, "succeeded"],
    ],
  );
  assert.equal(pipeline!.successRate, 0.5);
  assert.ok(pipeline!.recent[1]!.finishedAt!.endsWith("Z"));
  const none = await get<PipelineSummary>(server, "/pipelines/chain");
  assert.deepEqual([none.recent, none.successRate], [[], null]);
});
