import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyDatabase } from "../../../test/setup/database.ts";
import { chainEvents, errorOf, poll, runServer, showRun, submit, takeRun } from "../../../test/setup/run-fixture.ts";
import { TEST_CAPABILITIES, type TestServer, type TestWorker, testWorker } from "../../../test/setup/server.ts";
import type { Assignment } from "../../protocol/agent-api.ts";
import { Database } from "../store/database.ts";
import { migrate, readMigrations } from "../store/migrations.ts";

const GiB = 1024 ** 3;

function needing(resources: string, name = "heavy"): string {
  return `
name: ${name}
environment: { image: busybox }
steps:
  small: { run: "true" }
  large: { run: "true", resources: ${resources} }
`;
}

async function has(server: TestServer, worker: TestWorker, change: object): Promise<void> {
  await server.services.database.pool.query("UPDATE workers SET capabilities = $2 WHERE id = $1", [
    worker.id,
    { ...TEST_CAPABILITIES, slots: 9, ...change },
  ]);
}

async function given(worker: TestWorker, request: object = {}): Promise<string[]> {
  const answer = await poll(worker, { freeSlots: 9, ...request });
  assert.equal(answer.statusCode, 200, answer.body);
  return (answer.json().assignments as Assignment[]).map(({ run }) => run);
}

const gpus = (count: number) => ({
  gpus: Array.from({ length: count }, (_, index) => ({ id: `GPU-${index}`, model: "test", memoryBytes: 0 })),
});

test("a run needs of each resource what the largest step needs, and goes to a worker that has it all", async (t) => {
  const server = await runServer(t);
  const pipeline = `
name: mixed
environment: { image: busybox }
steps:
  cores: { run: "true", resources: { cpu: 3 } }
  memory: { run: "true", resources: { memory: 5GiB, cpu: 0.5 } }
  gpu: { run: "true", resources: { gpu: 1, disk: 7GiB } }
`;
  const { id, needs } = await submit(server, { pipeline });
  assert.deepEqual(needs, { cpus: 3, memoryBytes: 5 * GiB, gpus: 1, diskBytes: 7 * GiB });
  const worker = await testWorker(server);
  const enough = { cpus: 3, memoryBytes: 5 * GiB, ...gpus(1), diskFreeBytes: 9 * GiB, diskNeededBytes: 2 * GiB };
  const lacking = [
    { cpus: 2.5 },
    { memoryBytes: 5 * GiB - 1 },
    gpus(0),
    { diskFreeBytes: 9 * GiB - 1 },
    { diskNeededBytes: 2 * GiB + 1 },
  ];
  for (const change of lacking) {
    await has(server, worker, { ...enough, ...change });
    assert.deepEqual(await given(worker), [], JSON.stringify(change));
    assert.notDeepEqual((await showRun(server, id)).waiting?.workers[0]?.reasons, [], JSON.stringify(change));
  }
  await has(server, worker, enough);
  assert.deepEqual((await showRun(server, id)).waiting?.workers[0]?.reasons, [], "what is said and what is done agree");
  assert.deepEqual(await given(worker), [id]);
});

test("a run that asks for cores or memory is for a backend that can limit them", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const limits = (can: boolean) => ({ capabilities: { limits: { cpu: can, memory: can, pids: can } } });
  await has(server, worker, { backends: { process: limits(false) } });
  const free = await submit(server, { pipeline: needing("{ disk: 1MiB }"), backend: "process" });
  const any = await submit(server, { pipeline: needing("{ cpu: 0.5 }") });
  const named = await submit(server, { pipeline: needing("{ memory: 1MiB }"), backend: "process" });
  assert.deepEqual(await given(worker), [free.id]);
  for (const { id } of [any, named]) assert.equal((await showRun(server, id)).waiting?.possible, false);
  const payload = { pipeline: needing("{ cpu: 0.5 }"), backend: "process", failIfImpossible: true };
  const refused = await server.call("developer", { method: "POST", url: "/runs", payload });
  assert.equal(refused.statusCode, 409, refused.body);
  assert.match(errorOf(refused).problems![0]!.message, /has a backend process that cannot limit cpu or memory/);

  const held = [{ run: free.id, epoch: 1 }];
  await has(server, worker, { backends: { process: limits(false), docker: limits(true) } });
  assert.deepEqual(await given(worker, { held }), [any.id], "by Docker");
  const both = [...held, { run: any.id, epoch: 1 }];
  await has(server, worker, { backends: { process: {} } });
  assert.deepEqual(
    await given(worker, { held: both }),
    [named.id],
    "what an agent does not say is no reason against it",
  );
});

test("a GPU is promised to one run at a time, and a run that needs many is not overtaken by those that need few", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await has(server, worker, gpus(2));
  const first = await submit(server, { pipeline: needing("{ gpu: 1 }") });
  const both = await submit(server, { pipeline: needing("{ gpu: 2 }") });
  const last = await submit(server, { pipeline: needing("{ gpu: 1 }") });
  const none = await submit(server);
  assert.deepEqual(await given(worker), [first.id, none.id]);
  const { waiting } = await showRun(server, both.id);
  assert.equal(waiting?.possible, true);
  const name = waiting?.workers[0]?.name;
  assert.equal(waiting?.summary, `It waits for a worker: ${name} has 1 of 2 GPUs free, and 2 are needed.`);
  const held = [first, none].map(({ id }) => ({ run: id, epoch: 1 }));
  assert.deepEqual(await given(worker, { held }), [], "one GPU is free, and the next in line needs two");
  await server.services.database.pool.query("UPDATE runs SET state = 'succeeded' WHERE id = $1", [first.id]);
  assert.deepEqual(await given(worker, { held: [held[1]] }), [both.id]);
  await server.services.database.pool.query("UPDATE runs SET state = 'succeeded' WHERE id = $1", [both.id]);
  assert.deepEqual(await given(worker, { held: [held[1]] }), [last.id]);
});

test("what no worker could ever run is flagged at once, and refused when that is asked for, with nothing made", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server, { name: "here" });
  const pipeline = needing("{ memory: 64GiB, cpu: 3 }");
  const post = async (payload: object) => server.call("developer", { method: "POST", url: "/runs", payload });
  const refused = await post({ pipeline, failIfImpossible: true });
  assert.equal(refused.statusCode, 409);
  assert.equal(errorOf(refused).code, "unschedulable");
  assert.deepEqual(errorOf(refused).problems, [
    { path: "here", message: "has 2 cores, and 3 are needed; has 2.0 GiB of memory, and 64.0 GiB are needed" },
  ]);
  const waiting = errorOf(refused).details?.waiting as { workers: { reasons: { kind: string }[] }[] };
  assert.deepEqual(
    waiting.workers[0]?.reasons.map(({ kind }) => kind),
    ["impossible", "impossible"],
  );
  assert.deepEqual((await server.call("viewer", { url: "/runs" })).json().items, []);
  assert.deepEqual((await server.call("viewer", { url: "/pipelines" })).json().items, []);

  const flagged = await submit(server, { pipeline });
  assert.deepEqual([flagged.number, flagged.state, flagged.waiting?.possible], [1, "queued", false]);
  await server.services.database.pool.query("UPDATE workers SET draining = true");
  const busy = await submit(server, { failIfImpossible: true });
  assert.deepEqual([busy.state, busy.waiting?.possible], ["queued", true], "a worker that is draining may come back");
  await server.services.database.pool.query("UPDATE workers SET draining = false");
  assert.deepEqual(await given(worker), [busy.id]);
});

test("a restart needs only what its remaining steps need, and is refused where they can run nowhere", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await has(server, worker, gpus(1));
  const pipeline = `
name: chain
environment: { image: busybox }
steps:
  make: { run: "true", outputs: { text: text }, resources: { gpu: 1 } }
  use: { run: "true", inputs: { text: make.text }, resources: { cpu: 2 } }
`;
  const { id } = await submit(server, { pipeline });
  const [begun, made, output] = chainEvents();
  const held = await takeRun(worker);
  const fault = { code: "exit-nonzero", class: "application", blame: "step", message: "no", advice: "no" } as const;
  const answer = await held.report(begun!, made!, output!, { type: "run.finished", state: "failed", fault });
  assert.equal(answer.statusCode, 200, answer.body);
  const restart = async (payload: object) =>
    server.call("developer", { method: "POST", url: `/runs/${id}/restart`, payload });
  await has(server, worker, { cpus: 1 });
  const refused = await restart({ failIfImpossible: true });
  assert.deepEqual([refused.statusCode, errorOf(refused).code], [409, "unschedulable"]);
  await has(server, worker, { cpus: 2 });
  const restarted = await restart({ failIfImpossible: true });
  assert.equal(restarted.statusCode, 201, restarted.body);
  assert.deepEqual(restarted.json().needs, { cpus: 2, memoryBytes: 0, gpus: 0, diskBytes: 0 });
  assert.equal(restarted.json().number, 2, "what was refused took no number");
});

test("runs of before the migration get the needs of their plan", async (t) => {
  const { url } = await emptyDatabase(t);
  const known = readMigrations();
  const index = known.findIndex(({ name }) => name === "needs");
  await migrate(url, known.slice(0, index));
  await using database = new Database({ url, poolSize: 1 });
  const plan = {
    steps: [{ resources: { cpu: 1.5, memoryBytes: null } }, { resources: { cpu: null, memoryBytes: 7e9 } }],
  };
  await database.pool.query("INSERT INTO pipelines (id, project_id, name) SELECT 'p', id, 'p' FROM projects");
  await database.pool.query(
    `INSERT INTO pipeline_versions (pipeline_id, version, project_id, digest, source, plan, created_by)
     SELECT 'p', 1, id, '', '', $1, '' FROM projects`,
    [JSON.stringify(plan)],
  );
  await database.pool.query(
    `INSERT INTO runs (id, project_id, pipeline_id, pipeline_version, number, params, pool, labels, created_by)
     SELECT 'r', id, 'p', 1, 1, '{}', 'default', '{}', '' FROM projects`,
  );
  await migrate(url, known);
  const { rows } = await database.pool.query(
    "SELECT needed_cpus, needed_memory_bytes::float8, needed_gpus, needed_disk_bytes::float8 FROM runs",
  );
  assert.deepEqual(rows, [{ needed_cpus: 1.5, needed_memory_bytes: 7e9, needed_gpus: 0, needed_disk_bytes: 0 }]);
});
