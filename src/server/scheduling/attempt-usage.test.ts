import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  errorOf,
  type LeasedRunDriver,
  reapNow,
  runServer,
  started,
  submit,
  succeeded,
  takeRun,
} from "../../../test/setup/run-fixture.ts";
import { type TestServer, type TestWorker, testWorker } from "../../../test/setup/server.ts";
import { type AttemptUsage, USAGE_SAMPLES_MAX, type UsageReport } from "../../protocol/attempt-usage.ts";
import { seriesOf } from "../../protocol/usage-series.ts";

const USING = `
name: using
environment: { image: busybox }
steps:
  train: { run: ./train }
  score: { run: ./score, needs: [train] }
`;

async function setUp(t: TestContext) {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server, { pipeline: USING });
  return { server, worker, id, lease: await takeRun(worker) };
}

function report(atSeconds: readonly number[], more: Partial<UsageReport> = {}): UsageReport {
  const series = seriesOf(atSeconds.map((second) => ({ atMs: second * 1000, cpuMs: second * 500, memoryBytes: 7 })));
  return { stepRun: "train", attempt: 1, series, ...more };
}

function tell(worker: TestWorker, { assignment: { run, epoch } }: LeasedRunDriver, usage: UsageReport[]) {
  return worker.call("POST", `/agent/runs/${run}/messages`, { epoch, progress: [], metrics: [], usage });
}

async function usageOf(server: TestServer, run: string, query = ""): Promise<AttemptUsage[]> {
  const answer = await server.call("viewer", { url: `/runs/${run}/usage${query}` });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json().items;
}

test("what an attempt uses is kept as it grows, also when another process of its agent goes on with it", async (t) => {
  const { server, worker, id, lease } = await setUp(t);
  await lease.report(started("train"));
  assert.deepEqual(
    (await usageOf(server, id)).map(({ series }) => series),
    [null],
  );
  for (const seconds of [
    [1, 2],
    [1, 2, 3],
    [1, 2],
    [5, 6],
  ]) {
    const answer = await tell(worker, lease, [report(seconds)]);
    assert.equal(answer.statusCode, 200, answer.body);
  }
  const [train] = await usageOf(server, id);
  assert.deepEqual(
    train!.series,
    seriesOf([1, 2, 3, 5, 6].map((second) => ({ atMs: second * 1000, cpuMs: second * 500, memoryBytes: 7 }))),
  );
  assert.deepEqual([train!.stepRun, train!.attempt, train!.state, train!.usage], ["train", 1, "running", {}]);
});

test("the figures of an ended attempt are shown in all and over time, by step, page by page", async (t) => {
  const { server, worker, id, lease } = await setUp(t);
  await tell(worker, lease, [report([1])]);
  const usage = { cpuMs: 1200, cpuUserMs: 1000, readBytes: 5, sentBytes: 9, pidsPeak: 3 };
  await lease.report(started("train"), succeeded("train", [], [], { usage }));
  await lease.report(started("score"), succeeded("score"));
  const all = await usageOf(server, id);
  assert.deepEqual(
    all.map(({ stepRun }) => stepRun),
    ["train", "score"],
  );
  assert.deepEqual([all[0]!.usage, all[0]!.series], [usage, report([1]).series]);
  assert.deepEqual(
    (await usageOf(server, id, "?step=score")).map(({ stepRun }) => stepRun),
    ["score"],
  );
  assert.deepEqual(await usageOf(server, id, "?attempt=2"), []);
  const first = (await server.call("viewer", { url: `/runs/${id}/usage?limit=1` })).json();
  const rest = await usageOf(server, id, `?cursor=${first.next}`);
  assert.deepEqual([...first.items, ...rest], all);
});

test("what another epoch saw is not shown as that of the attempt, and a stale one changes nothing", async (t) => {
  const { server, worker, id, lease } = await setUp(t);
  await tell(worker, lease, [report([1, 2])]);
  await server.services.database.pool.query("UPDATE runs SET lease_expires_at = now() - interval '1 hour'");
  await reapNow(server, 1_000);
  const other = await testWorker(server, { name: "other" });
  const next = await takeRun(other);
  assert.equal(errorOf(await tell(worker, lease, [report([9])])).code, "stale_epoch");
  await next.report({ type: "run.started", backend: "process" }, started("train"));
  assert.deepEqual(
    (await usageOf(server, id)).map(({ series }) => series),
    [null],
  );
  await tell(other, next, [report([1])]);
  assert.deepEqual(
    (await usageOf(server, id)).map(({ series }) => series?.atMs),
    [[1000]],
  );
});

test("a report with more points than are kept, or with columns of other lengths, is refused", async (t) => {
  const { worker, lease } = await setUp(t);
  const many = report(Array.from({ length: USAGE_SAMPLES_MAX + 1 }, (_, second) => second));
  assert.equal((await tell(worker, lease, [many])).statusCode, 400);
  assert.equal((await tell(worker, lease, [{ ...report([]), series: { atMs: [1, 2], pids: [1] } }])).statusCode, 400);
});
