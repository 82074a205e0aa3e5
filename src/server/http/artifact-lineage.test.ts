import assert from "node:assert/strict";
import { test } from "node:test";
import { finishDiamond, runDiamond } from "../../../test/setup/lineage-fixture.ts";
import { errorOf, runServer, takeRun } from "../../../test/setup/run-fixture.ts";
import { type TestServer, testToken, testWorker } from "../../../test/setup/server.ts";
import { Lineage } from "../../protocol/lineage.ts";
import { traceLineage } from "../lineage/trace.ts";
import type { Queryable } from "../store/database.ts";
import { membersById } from "../store/lineage.ts";

async function lineageOf(server: TestServer, artifact: string, query = ""): Promise<Lineage> {
  const answer = await server.call("viewer", { url: `/artifacts/${artifact}/lineage?${query}` });
  assert.equal(answer.statusCode, 200, answer.body);
  return Lineage.parse(answer.json());
}

/** `made wine#1/train wine/train/model/1`, in order. */
function edgesOf({ edges }: Lineage): string[] {
  return edges
    .map((edge) => `${edge.step} ${edge.kind} ${edge.version}${edge.kind === "read" ? ` as ${edge.input}` : ""}`)
    .sort();
}

test("the lineage of a batch of a thousand items and of a diamond is one node per version and step, with counts", async (t) => {
  const server = await runServer(t);
  await runDiamond(server, await testWorker(server), { items: 1000 });
  const up = await lineageOf(server, "wine/report/summary/1", "direction=up");
  const made = [
    "wine#1/prepare made wine/prepare/test/1",
    "wine#1/prepare made wine/prepare/train/1",
    "wine#1/report made wine/report/summary/1",
    "wine#1/score made wine/score/scores/1",
    "wine#1/train made wine/train/model/1",
  ];
  const read = [
    "wine#1/report read wine/score/scores/1 as scores",
    "wine#1/report read wine/train/model/1 as model",
    "wine#1/score read wine/prepare/test/1 as batch",
    "wine#1/score read wine/train/model/1 as model",
    "wine#1/train read wine/prepare/train/1 as train",
  ];
  assert.deepEqual(edgesOf(up), [...made, ...read].sort());
  const scores = up.versions.find(({ id }) => id === "wine/score/scores/1")!;
  assert.deepEqual([scores.items, scores.itemNames.length, scores.digest], [1000, 10, null]);
  assert.equal(up.steps.find(({ step }) => step === "score")!.stepRuns, 1000);
  assert.deepEqual(up.truncated, []);
  assert.deepEqual(
    up.runs.map(({ name, params, source }) => ({ name, params, source })),
    [{ name: "wine#1", params: { seed: 7 }, source: null }],
  );

  const down = await lineageOf(server, "wine/prepare/train/latest", "direction=down");
  assert.deepEqual(down.versions.map(({ id, items }) => `${id} ${items}`).sort(), [
    "wine/prepare/train/1 1",
    "wine/report/summary/1 1",
    "wine/score/scores/1 1000",
    "wine/train/model/1 1",
  ]);
  assert.ok(!edgesOf(down).includes("wine#1/prepare made wine/prepare/train/1"), "down does not go up");
  assert.deepEqual(
    edgesOf(await lineageOf(server, "wine/train/model/1")),
    [...made, ...read].filter((edge) => !edge.includes("/test/")).sort(),
  );
});

test("one item of a batch has what it read alone, and an item that is none is told", async (t) => {
  const server = await runServer(t);
  await runDiamond(server, await testWorker(server), { items: 3 });
  const up = await lineageOf(server, "wine/score/scores/1", "direction=up&item=1");
  const scores = up.versions.find(({ isRoot }) => isRoot)!;
  assert.deepEqual([scores.items, scores.itemNames], [1, ["1"]]);
  assert.deepEqual(up.steps.find(({ step }) => step === "score")!.keys, ["score[1]"]);
  const missing = await server.call("viewer", { url: "/artifacts/wine/score/scores/1/lineage?item=9" });
  assert.match(errorOf(missing).message, /has no item "9"/);
  const unknown = await server.call("viewer", { url: "/artifacts/wine/score/nothing/1/lineage" });
  assert.equal(unknown.statusCode, 404);
});

test("what a restart took over keeps the versions and the run that made them, which names who took over", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const first = await runDiamond(server, worker, { items: 3, fails: true });
  const restart = await server.call("developer", { method: "POST", url: `/runs/${first}/restart`, payload: {} });
  assert.equal(restart.statusCode, 201, restart.body);
  await finishDiamond(await takeRun(worker), 3);
  const up = await lineageOf(server, "wine/report/summary/1", "direction=up");
  assert.deepEqual(
    Object.fromEntries(
      up.steps.map(({ id, stepRuns, takenOverBy }) => [id, [stepRuns, ...takenOverBy.map(({ name }) => name)]]),
    ),
    {
      "wine#1/prepare": [1, "wine#2"],
      "wine#1/score": [3, "wine#2"],
      "wine#1/train": [1, "wine#2"],
      "wine#2/report": [1],
    },
  );
  assert.deepEqual(
    up.runs.map(({ name, restartOf }) => [name, restartOf?.name]),
    [
      ["wine#1", undefined],
      ["wine#2", "wine#1"],
    ],
  );
  const down = await lineageOf(server, "wine/prepare/test/1", "direction=down");
  assert.ok(edgesOf(down).includes("wine#2/report made wine/report/summary/1"));
});

test("a depth and too many members cut a lineage, and the answer says so", async (t) => {
  const server = await runServer(t);
  await runDiamond(server, await testWorker(server), { items: 30 });
  const shallow = await lineageOf(server, "wine/report/summary/1", "depth=1");
  assert.deepEqual(shallow.truncated, [{ limit: "depth", max: 1, direction: "up" }]);
  assert.ok(!shallow.versions.some(({ step }) => step === "prepare"));
  const whole = await lineageOf(server, "wine/report/summary/1", "depth=3&direction=up");
  assert.deepEqual(whole.truncated, [], "prepare reads nothing");

  const { database } = server.services;
  const { rows } = await database.pool.query("SELECT id FROM artifact_versions WHERE name = 'summary'");
  const roots = await membersById(database.pool, server.project, [rows[0].id]);
  const order = { project: server.project, roots, direction: "up", depth: 20 } as const;
  const cut = await traceLineage(database.pool, { ...order, membersMax: 10 });
  assert.deepEqual(cut.truncated, [{ limit: "members", max: 10, direction: "up" }]);
  assert.ok(cut.versions.size + cut.stepRuns.length <= 10);
  for (const query of ["depth=0", "depth=201", "direction=sideways"]) {
    assert.equal(
      (await server.call("viewer", { url: `/artifacts/wine/train/model/1/lineage?${query}` })).statusCode,
      400,
    );
  }
});

test("a lineage of another project is as if it were not there", async (t) => {
  const server = await runServer(t);
  await runDiamond(server, await testWorker(server));
  await server.services.database.pool.query("INSERT INTO projects (id, name) VALUES ('prj_other', 'other')");
  const authorization = `Bearer ${await testToken(server.services, "admin", "prj_other")}`;
  const url = "/artifacts/wine/report/summary/1/lineage";
  assert.equal((await server.call(null, { url, headers: { authorization } })).statusCode, 404);
});

interface Plan {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly Plans?: readonly Plan[];
}

function* nodesOf(plan: Plan): Generator<Plan> {
  yield plan;
  for (const below of plan.Plans ?? []) yield* nodesOf(below);
}

test("following a lineage reads by index alone, however many other versions there are", async (t) => {
  const server = await runServer(t);
  const run = await runDiamond(server, await testWorker(server), { items: 2 });
  const { pool } = server.services.database;
  // What a thousand other runs would have left.
  await pool.query(
    `INSERT INTO step_runs (run_id, key, project_id, step, position, state)
       SELECT $1, 'other' || n, $2, 'other', n, 'succeeded' FROM generate_series(10, 50000) AS n`,
    [run, server.project],
  );
  await pool.query(
    `INSERT INTO artifact_versions (project_id, artifact_id, version, item, run_id, step_run, attempt, name, worker_id,
       kind, digest, size, file_count, file_name, content_type)
     SELECT project_id, artifact_id, version, 'o' || n, run_id, 'other' || n, 1, name, worker_id, kind, digest, size,
       file_count, file_name, content_type FROM artifact_versions, generate_series(10, 50000) AS n WHERE name = 'model'`,
  );
  await pool.query(
    `INSERT INTO artifact_inputs (run_id, step_run, input, artifact_version_id, project_id)
     SELECT run_id, step_run, 'x', id, project_id FROM artifact_versions WHERE step_run LIKE 'other%'`,
  );
  await pool.query("ANALYZE step_runs, artifact_versions, artifact_inputs");
  const plans: Plan[] = [];
  const explaining = {
    query: async (text: string, values: unknown[]) => {
      const { rows } = await pool.query(`EXPLAIN (FORMAT JSON) ${text}`, values);
      plans.push(rows[0]["QUERY PLAN"][0].Plan);
      return await pool.query(text, values);
    },
  } as unknown as Queryable;
  const { rows } = await pool.query("SELECT id FROM artifact_versions WHERE name = 'train'");
  const roots = await membersById(explaining, server.project, [rows[0].id]);
  const trace = await traceLineage(explaining, { project: server.project, roots, direction: "both", depth: 20 });
  assert.equal(trace.versions.size, 5);
  assert.ok(plans.length >= 8);
  const scanned = plans
    .flatMap((plan) => [...nodesOf(plan)])
    .filter((node) => node["Node Type"] === "Seq Scan")
    .map((node) => node["Relation Name"]);
  for (const large of ["step_runs", "artifact_versions", "artifact_inputs"]) assert.ok(!scanned.includes(large), large);
});
