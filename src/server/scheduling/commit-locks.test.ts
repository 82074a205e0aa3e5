import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { inlineOutput, runServer, started, submit, succeeded, takeRun } from "../../../test/setup/run-fixture.ts";
import { testWorker } from "../../../test/setup/server.ts";
import type { AgentEventBody } from "../../protocol/events.ts";

const PIPELINE = `
name: p
environment: { image: busybox }
steps: { make: { run: x, cache: true, matrix: { n: [1, 2] }, outputs: { out: { path: out.txt } } } }
`;

test("two runs that commit the same bytes of one artifact, of which one takes a part from the cache, wait for each other once", async (t) => {
  const server = await runServer(t);
  const { database } = server.services;
  const cache = { key: "1".repeat(64), components: { command: "x" } };
  const begin = async (name: string) => {
    const { id } = await submit(server, { pipeline: PIPELINE, pool: name });
    return { id, run: await takeRun(await testWorker(server, { name, pool: name })) };
  };
  const first = await begin("first");
  const made = inlineOutput("out", "one");
  await first.run.report({ type: "run.started", backend: "process" }, { ...started("make[n=1]"), cache } as never);
  const stored = await first.run.report(succeeded("make[n=1]", [made]));
  assert.equal(stored.statusCode, 200, stored.body);

  const bytes = inlineOutput("out", "the same bytes");
  const second = await begin("second");
  const third = await begin("third");
  const isWaiting = async (count: number) => {
    for (;;) {
      const { rowCount } = await database.pool.query(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      );
      if (rowCount === count) return;
      assert.ok(!t.signal.aborted, `${rowCount} of ${count} wait`);
      await sleep(5); // Between two looks.
    }
  };
  const reports: Promise<{ statusCode: number; body: string }>[] = [];
  await database.transaction(async (client) => {
    await client.query("SELECT FROM artifacts FOR UPDATE");
    const { name, content } = made;
    const taken = {
      ...{ type: "step.cached", stepRun: "make[n=1]", cache, from: { run: first.id, number: 1 } },
      outputs: [{ name, content }],
    } as AgentEventBody;
    const work = [started("make[n=2]"), succeeded("make[n=2]", [bytes])];
    reports.push(second.run.report({ type: "run.started", backend: "process" }, taken, ...work));
    await isWaiting(1);
    reports.push(third.run.report({ type: "run.started", backend: "process" }, ...work));
    await isWaiting(2);
  });
  for (const { statusCode, body } of await Promise.all(reports)) assert.equal(statusCode, 200, body);
});
