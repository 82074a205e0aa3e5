import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAIN, poll, reapNow, runServer, showRun, submit, takeRun } from "../../../test/setup/run-fixture.ts";
import { testWorker } from "../../../test/setup/server.ts";
import type { Assignment } from "../../protocol/agent-api.ts";
import type { Run } from "../../protocol/resources.ts";

const URGENT = CHAIN.replace("name: chain", "name: urgent\npriority: 10");

test("the highest priority is taken first, of equals the oldest, and a submission has the last word", async (t) => {
  const server = await runServer(t);
  const plain = await submit(server);
  const low = await submit(server, { priority: -100 });
  const urgent = await submit(server, { pipeline: URGENT });
  const second = await submit(server, { pipeline: URGENT });
  const lowered = await submit(server, { pipeline: URGENT, priority: 0 });
  const known = await submit(server, { pipeline: { name: "urgent" } });
  const wanted = [urgent, second, known, plain, lowered, low];
  assert.deepEqual(
    wanted.map(({ priority }) => priority),
    [10, 10, 10, 0, 0, -100],
  );
  const taken: string[] = [];
  for (let index = 0; index < wanted.length / 2; index++) {
    const worker = await testWorker(server);
    const { assignments } = (await poll(worker, { freeSlots: 2 })).json() as { assignments: Assignment[] };
    taken.push(...assignments.map(({ run }) => run));
  }
  assert.deepEqual(
    taken,
    wanted.map(({ id }) => id),
  );
  const { items } = (await server.call("viewer", { url: "/runs?pipeline=urgent" })).json() as { items: Run[] };
  assert.deepEqual(
    items.map(({ priority }) => priority),
    [10, 0, 10, 10],
  );
});

test("a run keeps its priority when its worker is lost, and a restart has that of the run that it goes on from", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server, { priority: 7 });
  await takeRun(worker);
  await submit(server, { priority: 6 });
  await server.services.database.pool.query("UPDATE runs SET lease_expires_at = now() - interval '1 hour'");
  await reapNow(server, 1_000);
  assert.equal((await takeRun(worker)).assignment.run, id);
  await server.call("developer", { method: "POST", url: `/runs/${id}/cancel` });
  await server.services.database.pool.query("UPDATE runs SET lease_expires_at = now() - interval '1 hour'");
  await reapNow(server, 1_000);
  const restart = await server.call("developer", { method: "POST", url: `/runs/${id}/restart` });
  assert.equal(restart.statusCode, 201, restart.body);
  assert.equal((await showRun(server, restart.json().id)).priority, 7);
});

test("a priority out of its range is refused, and makes no run", async (t) => {
  const server = await runServer(t);
  for (const priority of [101, -101, 1.5, "high"]) {
    const payload = { pipeline: CHAIN, priority };
    const answer = await server.call("developer", { method: "POST", url: "/runs", payload });
    assert.equal(answer.statusCode, 400, String(priority));
  }
  assert.deepEqual((await server.call("viewer", { url: "/runs" })).json().items, []);
});

test("a pipeline that says nothing of priorities and groups keeps the version that it got before there were any", async (t) => {
  const server = await runServer(t);
  const { pool } = server.services.database;
  await submit(server);
  const { rows } = await pool.query<{ plan: object; digest: string }>("SELECT plan, digest FROM pipeline_versions");
  const { priority: _, concurrency: __, ...before } = rows[0]!.plan as { priority?: number; concurrency?: object };
  await pool.query("UPDATE pipeline_versions SET plan = $1, digest = encode(sha256($2), 'hex')", [
    before,
    Buffer.from(JSON.stringify(before)),
  ]);
  const { pipelineVersion } = await submit(server);
  assert.equal(pipelineVersion, 1);
  assert.equal((await submit(server, { pipeline: { name: "chain" } })).priority, 0, "the stored plan has the default");
});
