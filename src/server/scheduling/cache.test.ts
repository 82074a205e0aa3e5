import assert from "node:assert/strict";
import { test } from "node:test";
import {
  errorOf,
  inlineOutput,
  runServer,
  started,
  submit,
  succeeded,
  takeRun,
} from "../../../test/setup/run-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";
import { cacheComponents } from "../../pipeline/cache-key.ts";
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

const ONE = `
name: one
environment: { image: busybox }
steps:
  work: { run: "true", cache: { ttl: 1h }, outputs: { out: out } }
  plain: { run: "true" }
`;

/** A run whose step `work` makes the same again, or takes it from an earlier run. */
async function runOne(server: TestServer, { from, ...more }: { noCache?: boolean; from?: Reported } = {}) {
  const { id, number } = await submit(server, { pipeline: ONE, ...more });
  const held = await takeRun(await testWorker(server));
  const { plan, params } = held.assignment;
  const step = plan.steps.find(({ name }) => name === "work")!;
  const facts = { plan, step, matrix: {}, params, source: null, image: "sha256:1", inputs: {}, share: null };
  const cache = { key: keyOf(1), components: cacheComponents(facts) };
  const work: AgentEventBody[] =
    from === undefined
      ? [{ ...started("work"), cache } as AgentEventBody, succeeded("work", [inlineOutput("out", "1")])]
      : [{ type: "step.cached", stepRun: "work", cache, from, outputs: [] }];
  const end = { type: "run.finished", state: "succeeded", fault: null } as const;
  const answer = await held.report(...work, started("plain"), succeeded("plain"), end);
  assert.equal(answer.statusCode, 200, answer.body);
  return { run: id, number };
}
type Reported = { readonly run: string; readonly number: number };

test("an explanation and a plan say which reason kept a result from being taken; clearing counts what was made", async (t) => {
  const server = await runServer(t);
  const { pool } = server.services.database;
  const reasonOf = async ({ run }: Reported) => {
    const [item] = (await server.call("viewer", { url: `/runs/${run}/cache?step=work` })).json().items;
    assert.deepEqual(item.compared.differences, []);
    return [item.compared.run, item.reason];
  };
  const planned = async () => {
    const answer = await server.call("developer", { method: "POST", url: "/cache/plan", payload: { pipeline: ONE } });
    return answer.json().steps.find(({ stepRun }: { stepRun: string }) => stepRun === "work").why;
  };
  await runOne(server);
  assert.deepEqual(await reasonOf(await runOne(server, { noCache: true })), [1, "off"]);
  assert.deepEqual(await reasonOf(await runOne(server)), [2, null]);
  await pool.query("UPDATE step_runs SET finished_at = finished_at - interval '2 hours'");
  assert.equal(await planned(), "the result of run #3 is older than the step's ttl");
  const fourth = await runOne(server);
  assert.deepEqual(await reasonOf(fourth), [3, "too-old"]);
  assert.deepEqual(await reasonOf(await runOne(server, { from: fourth })), [4, null], "it was taken");
  const cleared = await server.call("developer", { method: "DELETE", url: "/pipelines/one/cache?step=work" });
  assert.deepEqual(cleared.json(), { forgotten: 4 });
  assert.equal(await planned(), "the result of run #4 was given up");
  assert.deepEqual(await reasonOf(await runOne(server)), [4, "given-up"]);
  await pool.query("DELETE FROM artifact_versions");
  assert.equal(await planned(), "outputs of run #6 are gone");
  assert.deepEqual(await reasonOf(await runOne(server)), [6, "gone"]);
  await pool.query("UPDATE step_runs SET finished_at = finished_at + interval '1 hour'");
  assert.deepEqual(await reasonOf(await runOne(server)), [7, "not-yet"]);
});

test("a step that a run or a pipeline does not have is refused with the names of those that it has", async (t) => {
  const server = await runServer(t);
  await runOne(server);
  for (const request of [
    { method: "GET", url: "/runs/one%231/cache" },
    { method: "DELETE", url: "/pipelines/one/cache" },
  ] as const) {
    const ask = async (step: string) => {
      const answer = await server.call("developer", { ...request, url: `${request.url}?step=${step}` });
      return [answer.statusCode, answer.statusCode === 200 ? answer.json() : errorOf(answer).message] as const;
    };
    const [code, message] = await ask("wrok");
    assert.equal(code, 422);
    assert.match(message, /^one(#1)? has no step "wrok", did you mean "work"\?$/);
    assert.match((await ask("entirely-other"))[1], /it has (work, plain|plain, work)\.$/);
    assert.equal((await ask("work"))[0], 200);
    const [plain, answer] = await ask("plain");
    assert.equal(plain, 200);
    assert.deepEqual(answer, request.method === "GET" ? { items: [], cached: ["work"] } : { forgotten: 0 });
  }
});
