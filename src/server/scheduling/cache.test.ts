import assert from "node:assert/strict";
import { test } from "node:test";
import { inlineOutput, runServer, started, submit, succeeded, takeRun } from "../../../test/setup/run-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";
import type { CacheExplanation, CacheHit } from "../../protocol/cache.ts";
import type { AgentEventBody } from "../../protocol/events.ts";

const COUNT = 250; // More than one question to the database brings.
const index = Array.from({ length: COUNT }, (_, one) => one);

const WIDE = (params: object = {}) =>
  JSON.stringify({
    name: "wide",
    environment: { image: "busybox" },
    params,
    steps: { work: { run: "true", cache: true, matrix: { index }, outputs: { out: "out" } } },
  });

const keyOf = (one: number) => one.toString(16).padStart(64, "0");

/** A run in which each step run made something, and reported a key. */
async function makeAll(server: TestServer): Promise<void> {
  await submit(server, { pipeline: WIDE() });
  const held = await takeRun(await testWorker(server));
  const events = index.flatMap((one) => {
    const key = `work[index=${one}]`;
    const cache = { key: keyOf(one), components: { command: "before", "matrix.index": String(one) } };
    return [{ ...started(key), cache }, succeeded(key, [inlineOutput("out", String(one))])];
  });
  for (let start = 0; start < events.length; start += 100) {
    const answer = await held.report(...events.slice(start, start + 100));
    assert.equal(answer.statusCode, 200, answer.body);
  }
  const end = await held.report({ type: "run.finished", state: "succeeded", fault: null });
  assert.equal(end.statusCode, 200, end.body);
}

test("many keys are looked up at once: each answer is in its place, by its own key and age; a plan and an explanation compare each with its own", async (t) => {
  const server = await runServer(t);
  await makeAll(server);
  const { id } = await submit(server, { pipeline: WIDE() });
  const worker = await testWorker(server);
  const held = await takeRun(worker);
  const { epoch } = held.assignment;
  const lookUp = async (lookups: object[]): Promise<(CacheHit | null)[]> => {
    const answer = await worker.call("POST", `/agent/runs/${id}/cache`, { epoch, lookups });
    assert.equal(answer.statusCode, 200, answer.body);
    return answer.json().hits;
  };
  const ofStep = (one: number, more: object = {}) => ({
    ...{ stepRun: `work[index=${one}]`, key: keyOf(one), ttlMs: null },
    ...more,
  });
  const hits = await lookUp([ofStep(7), ofStep(3, { key: keyOf(7) }), ofStep(0, { ttlMs: 3_600_000 }), ofStep(249)]);
  assert.deepEqual(
    hits.map((hit) => hit && [hit.number, hit.outputs.out!.digest]),
    [7, null, 0, 249].map((one) => (one === null ? null : [1, inlineOutput("out", String(one)).content.digest])),
  );
  await server.services.database.pool.query("UPDATE step_runs SET finished_at = finished_at - interval '1 day'");
  const old = await lookUp([ofStep(1, { ttlMs: 3_600_000 }), ofStep(1)]);
  assert.deepEqual(
    old.map((hit) => hit?.number ?? null),
    [null, 1],
  );

  const planned = await server.call("developer", { method: "POST", url: "/cache/plan", payload: { pipeline: WIDE() } });
  assert.equal(planned.statusCode, 200, planned.body);
  const { steps } = planned.json();
  assert.deepEqual(
    steps.map(({ stepRun }: { stepRun: string }) => stepRun),
    index.map((one) => `work[index=${one}]`),
  );
  for (const [one, { verdict, run, differences }] of steps.entries()) {
    const named = differences.map(({ name }: { name: string }) => name);
    assert.deepEqual(
      [verdict, run, named.includes("command"), named.includes("matrix.index")],
      ["miss", 1, true, false],
      one,
    );
  }

  const record = (one: number, command: string) => ({
    ...{ key: keyOf(one), components: { command, "matrix.index": String(one) } },
  });
  const from = { run: hits[0]!.run, number: 1 };
  const reported = await held.report(
    { type: "step.cached", stepRun: "work[index=7]", cache: record(7, "before"), from, outputs: [] },
    { ...started("work[index=200]"), cache: record(200, "after") } as AgentEventBody,
  );
  assert.equal(reported.statusCode, 200, reported.body);
  const explained = (await server.call("viewer", { url: `/runs/${id}/cache` })).json().items as CacheExplanation[];
  assert.deepEqual(
    explained.map(({ stepRun, takenFrom, compared }) => [stepRun, takenFrom, compared?.run, compared?.differences]),
    [
      ["work[index=7]", 1, 1, []],
      [
        ...["work[index=200]", null, 1],
        [{ name: "command", before: "before", after: "after", beforeVersion: null, afterVersion: null }],
      ],
    ],
  );
});
