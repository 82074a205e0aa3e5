import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  errorOf,
  type LeasedRunDriver,
  reapNow,
  runServer,
  showSteps,
  started,
  submit,
  succeeded,
  takeRun,
} from "../../../test/setup/run-fixture.ts";
import { type TestServer, type TestWorker, testWorker } from "../../../test/setup/server.ts";
import type { MetricReport, ProgressReport } from "../../protocol/messages.ts";

const SAYING = `
name: saying
environment: { image: busybox }
steps:
  train: { run: ./train }
`;

async function setUp(t: TestContext) {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server, { pipeline: SAYING });
  return { server, worker, id, lease: await takeRun(worker) };
}

const at = new Date().toISOString();

function metric(n: number, value = n, more: Partial<MetricReport> = {}): MetricReport {
  return { stepRun: "train", attempt: 1, n, name: "loss", value, step: n * 100, at, ...more };
}

function progress(position: number, more: Partial<ProgressReport> = {}): ProgressReport {
  return { stepRun: "train", attempt: 1, position, done: position, total: 10, message: null, at, ...more };
}

function say(
  worker: TestWorker,
  { assignment: { run, epoch } }: LeasedRunDriver,
  said: { readonly progress?: ProgressReport[]; readonly metrics?: MetricReport[] },
) {
  return worker.call("POST", `/agent/runs/${run}/messages`, { epoch, progress: [], metrics: [], ...said });
}

async function get(server: TestServer, url: string) {
  const answer = await server.call("viewer", { url });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json();
}

test("a metric that is reported twice is stored once, and its summary counts it once", async (t) => {
  const { server, worker, id, lease } = await setUp(t);
  const first = await say(worker, lease, { metrics: [metric(0, 5), metric(1, 3), metric(2, 4)] });
  assert.equal(first.statusCode, 200, first.body);
  assert.equal(first.json().accepted, 3);
  const again = await say(worker, lease, { metrics: [metric(0, 5), metric(1, 3), metric(2, 4), metric(3, 9)] });
  assert.equal(again.json().accepted, 1);
  assert.equal((await say(worker, lease, { metrics: [metric(1, 777)] })).json().accepted, 0);

  const { items } = await get(server, `/runs/${id}/metrics`);
  assert.deepEqual(
    items.map((point: MetricReport) => [point.n, point.name, point.value, point.step]),
    [
      [0, "loss", 5, 0],
      [1, "loss", 3, 100],
      [2, "loss", 4, 200],
      [3, "loss", 9, 300],
    ],
  );
  const [summary] = (await get(server, `/runs/${id}/metrics/summary`)).items;
  const { count, min, max, value, step } = summary;
  assert.deepEqual({ count, min, max, value, step }, { count: 4, min: 3, max: 9, value: 9, step: 300 });
});

test("metrics are filtered by step, attempt and name, and paged", async (t) => {
  const { server, worker, id, lease } = await setUp(t);
  const metrics = [
    ...Array.from({ length: 5 }, (_, n) => metric(n)),
    metric(5, 0.5, { name: "auc" }),
    metric(0, 1, { attempt: 2 }),
  ];
  await say(worker, lease, { metrics });
  const count = async (query: string) => (await get(server, `/runs/${id}/metrics?${query}`)).items.length;
  assert.deepEqual(
    await Promise.all(["step=train", "name=auc", "attempt=2", "attempt=1&name=loss", "step=other"].map(count)),
    [7, 1, 1, 5, 0],
  );
  const pages: number[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page: { items: MetricReport[]; next: string | null } = await get(
      server,
      `/runs/${id}/metrics?limit=3${cursor === "" ? "" : `&cursor=${cursor}`}`,
    );
    pages.push(page.items.length);
    cursor = page.next;
  }
  assert.deepEqual(pages, [3, 3, 1]);
  const summaries = await get(server, `/runs/${id}/metrics/summary?limit=2`);
  assert.equal(summaries.items.length, 2);
  assert.equal((await get(server, `/runs/${id}/metrics/summary?limit=2&cursor=${summaries.next}`)).items.length, 1);
});

test("progress is one row, however often it is reported, and an older report does not set it back", async (t) => {
  const { server, worker, id, lease } = await setUp(t);
  await lease.report({ type: "run.started", backend: "process" }, started("train"));
  const { rows: before } = await server.services.database.pool.query("SELECT count(*) FROM run_events");
  for (let position = 1; position <= 20; position++) await say(worker, lease, { progress: [progress(position)] });
  await say(worker, lease, { progress: [progress(3), progress(2)] });
  const { pool } = server.services.database;
  assert.equal((await pool.query("SELECT FROM attempt_progress")).rowCount, 1);
  assert.deepEqual((await pool.query("SELECT count(*) FROM run_events")).rows, before);
  const [attempt] = (await showSteps(server, id)).get("train")!.attempts;
  assert.equal(attempt!.progress!.done, 20);
  assert.deepEqual(Object.keys(attempt!.progress!).sort(), ["at", "done", "message", "total"]);
});

test("text that no database can hold does not keep a report from being taken", async (t) => {
  const { server, worker, id, lease } = await setUp(t);
  await lease.report({ type: "run.started", backend: "process" }, started("train"));
  const answer = await say(worker, lease, {
    progress: [progress(1, { message: "a\u0000b\ud800" })],
    metrics: [metric(0, 1, { name: "loss\ud800" }), metric(1, 5e-324), metric(2, -1.7976931348623157e308)],
  });
  assert.equal(answer.statusCode, 200, answer.body);
  assert.equal(answer.json().accepted, 3);
  assert.equal((await showSteps(server, id)).get("train")!.attempts[0]!.progress!.message, "a\uFFFDb\uFFFD");
});

test("what a lost worker's attempt said is not taken for that of the attempt begun again under its number", async (t) => {
  const { server, worker, id, lease } = await setUp(t);
  await say(worker, lease, { metrics: [metric(0, 111), metric(1, 112)], progress: [progress(50)] });
  await server.services.database.pool.query("UPDATE runs SET lease_expires_at = now() - interval '1 hour'");
  await reapNow(server, 1_000);
  const other = await testWorker(server, { name: "other" });
  const next = await takeRun(other);
  assert.equal(next.assignment.epoch, 2);
  const late = await say(worker, lease, { metrics: [metric(2, 113)] });
  assert.equal(errorOf(late).code, "stale_epoch");

  await next.report({ type: "run.started", backend: "process" }, started("train"));
  await say(other, next, { metrics: [metric(0, 7)], progress: [progress(1)] });
  const values = (await get(server, `/runs/${id}/metrics`)).items.map(({ value }: MetricReport) => value);
  assert.deepEqual(values, [7]);
  assert.equal((await get(server, `/runs/${id}/metrics/summary`)).items[0].count, 1);
  assert.equal((await showSteps(server, id)).get("train")!.attempts[0]!.progress!.done, 1);
});

test("a report that says what cannot be is refused whole", async (t) => {
  const { worker, lease } = await setUp(t);
  const bad: readonly object[] = [
    metric(-1),
    metric(10_000),
    metric(0, 1, { name: "" }),
    { ...metric(0), value: "1" },
    { ...metric(0), at: "now" },
  ];
  for (const one of bad) {
    const answer = await say(worker, lease, { metrics: [metric(0), one as MetricReport] });
    assert.equal(errorOf(answer).code, "invalid_request", JSON.stringify(one));
  }
  assert.equal((await say(worker, lease, { metrics: [metric(0)] })).json().accepted, 1);
});

test("those who follow a run hear what its steps say, without an id, and an ended run tells no progress", async (t) => {
  const { server, worker, id, lease } = await setUp(t);
  await lease.report({ type: "run.started", backend: "process" }, started("train"));
  await say(worker, lease, { progress: [progress(4, { message: "epoch 4" })], metrics: [metric(0, 0.25)] });
  await lease.report(succeeded("train"), { type: "run.finished", state: "succeeded", fault: null });
  await say(worker, lease, { metrics: [metric(1, 0.125)] });
  const answer = await server.call("viewer", { url: `/runs/${id}/events`, headers: { accept: "text/event-stream" } });
  const said = answer.body.split("\n\n").filter((message) => message.startsWith("event: attempt."));
  assert.equal(said.length, 1);
  assert.match(said[0]!, /^event: attempt\.metric\ndata: \{"type":"attempt\.metric","metric":\{.*"value":0\.125/);
});
