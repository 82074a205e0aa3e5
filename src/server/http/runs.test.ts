import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { CHAIN, chainEvents, errorOf, runServer, showRun, submit, takeRun } from "../../../test/setup/run-fixture.ts";
import { testToken, testWorker } from "../../../test/setup/server.ts";
import type { Run, StepRun } from "../../protocol/resources.ts";

test("a pipeline gets a version only when its plan changes, and its runs are numbered", async (t) => {
  const server = await runServer(t);
  const first = await submit(server);
  const same = await submit(server, { pipeline: `# a comment\n${CHAIN}` });
  const changed = await submit(server, { pipeline: CHAIN.replace("hello", "bye") });
  const known = await submit(server, { pipeline: { name: "chain", version: 1 } });
  const newest = await submit(server, { pipeline: { name: "chain" } });
  assert.deepEqual(
    [first, same, changed, known, newest].map(({ pipelineVersion, number }) => [pipelineVersion, number]),
    [
      [1, 1],
      [1, 2],
      [2, 3],
      [1, 4],
      [2, 5],
    ],
  );
  const versions = (await server.call("viewer", { url: "/pipelines/chain/versions?limit=1" })).json();
  assert.deepEqual([versions.items[0].version, versions.next], [2, "2"]);
  const older = (await server.call("viewer", { url: "/pipelines/chain/versions?limit=1&cursor=2" })).json();
  assert.deepEqual([older.items[0].version, older.next], [1, null]);
  const latest = (await server.call("viewer", { url: "/pipelines/chain/versions/latest" })).json();
  assert.equal(latest.version, 2);
  assert.match(latest.source, /bye/);
  const pipeline = (await server.call("viewer", { url: "/pipelines/chain" })).json();
  assert.deepEqual([pipeline.latestVersion, pipeline.lastRun.id], [2, newest.id]);
  assert.equal((await server.call("viewer", { url: "/pipelines" })).json().items.length, 1);
  assert.equal((await server.call("viewer", { url: "/pipelines/nope" })).statusCode, 404);
});

test("submitting with the same request key again, or many times at once, makes one run", async (t) => {
  const server = await runServer(t);
  const requests = Array.from({ length: 8 }, () => submit(server, { requestKey: "key" }));
  const ids = new Set((await Promise.all(requests)).map(({ id }) => id));
  assert.equal(ids.size, 1);
  const [other] = await Promise.all([submit(server)]);
  assert.equal(other?.number, 2, "runs that were not made took no number");
});

test("runs submitted at the same time get numbers without a gap", async (t) => {
  const server = await runServer(t);
  const runs = await Promise.all(Array.from({ length: 10 }, () => submit(server)));
  const numbers = runs.map(({ number }) => number).sort((a, b) => a - b);
  assert.deepEqual(
    numbers,
    Array.from({ length: 10 }, (_, index) => index + 1),
  );
});

test("what is wrong with a pipeline or its parameters is told with every problem, and makes no run", async (t) => {
  const server = await runServer(t);
  const post = async (payload: object) => server.call("developer", { method: "POST", url: "/runs", payload });
  const pipeline = await post({ pipeline: CHAIN.replace("image:", "imge:") });
  assert.equal(pipeline.statusCode, 422);
  assert.equal(errorOf(pipeline).code, "invalid_pipeline");
  assert.ok(errorOf(pipeline).problems?.some(({ line }) => line === 3));
  const params = await post({ pipeline: CHAIN, params: { nope: 1 } });
  assert.equal(params.statusCode, 422);
  assert.equal(errorOf(params).code, "invalid_params");
  const digest = createHash("sha256").update("source").digest("hex");
  const source = await post({ pipeline: CHAIN, source: { digest, size: 6 } });
  assert.deepEqual([source.statusCode, errorOf(source).details], [409, { missing: [digest] }]);
  assert.equal((await post({ pipeline: { name: "nope" } })).statusCode, 404);
  assert.equal((await post({ pipeline: CHAIN, parms: {} })).statusCode, 400);
  assert.deepEqual((await server.call("viewer", { url: "/runs" })).json().items, []);

  await server.services.blobs.put(server.project, digest, 6, Buffer.from("source"));
  const run = await submit(server, { source: { digest, size: 6 } });
  assert.deepEqual(run.source, { digest, size: 6 });
});

test("a pipeline is validated without making anything", async (t) => {
  const server = await runServer(t);
  const validate = async (text: string) =>
    (await server.call("viewer", { method: "POST", url: "/pipelines/validate", payload: { text } })).json();
  assert.equal((await validate(CHAIN)).plan.steps.length, 2);
  assert.equal((await validate("steps: []")).ok, false);
  assert.deepEqual((await server.call("viewer", { url: "/pipelines" })).json().items, []);
});

test("runs are listed newest first, in pages, by state and pipeline, and named by id, number or `latest`", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const runs = [];
  for (let index = 0; index < 3; index++) runs.push(await submit(server));
  await submit(server, { pipeline: CHAIN.replace("name: chain", "name: other") });
  await (await takeRun(worker)).report(...chainEvents());
  const list = async (query: string) => (await server.call("viewer", { url: `/runs${query}` })).json();
  const first = await list("?pipeline=chain&limit=2");
  const second = await list(`?pipeline=chain&limit=2&cursor=${first.next}`);
  assert.deepEqual(
    [...first.items, ...second.items].map(({ number }: Run) => number),
    [3, 2, 1],
  );
  assert.equal(second.next, null);
  assert.equal((await list("?state=succeeded")).items.length, 1);
  assert.equal((await list("?state=succeeded,queued")).items.length, 4);
  assert.equal((await server.call("viewer", { url: "/runs?state=nope" })).statusCode, 400);
  assert.equal((await showRun(server, "chain#2")).id, runs[1]?.id);
  assert.equal((await showRun(server, "latest")).pipeline, "other");
  assert.equal((await server.call("viewer", { url: "/runs/chain%2399" })).statusCode, 404);
});

test("thousands of step runs are paged in the order of the pipeline, each once, matrix keys as the agent makes them", async (t) => {
  const server = await runServer(t);
  const values = Array.from({ length: 600 }, (_, index) => index);
  const pipeline = `
name: wide
environment: { image: busybox }
steps:
  first: { run: "true" }
  many: { run: "true", matrix: { zeta: [${values.join(",")}], a: [x, y] }, needs: [first] }
`;
  const { id } = await submit(server, { pipeline });
  const keys: string[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const query: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page = (await server.call("viewer", { url: `/runs/${id}/steps?limit=500${query}` })).json();
    keys.push(...page.items.map(({ key }: StepRun) => key));
    cursor = page.next;
  }
  assert.equal(keys.length, 1201);
  assert.equal(new Set(keys).size, 1201);
  assert.deepEqual(keys.slice(0, 3), ["first", "many[zeta=0,a=x]", "many[zeta=0,a=y]"]);
  const worker = await testWorker(server);
  const { assignment } = await takeRun(worker);
  assert.deepEqual(Object.keys(assignment.plan.steps[1]!.matrix![0]!), ["zeta", "a"]);
  const lists = [`/runs/${id}/steps`, "/runs"];
  for (const url of lists) {
    const cursor = await server.call("admin", { url: `${url}?cursor=bad` });
    assert.equal(cursor.statusCode, 400, url);
  }
});

test("a queued run says why it waits, per worker", async (t) => {
  const server = await runServer(t);
  const none = await submit(server, { labels: ["gpu"] });
  assert.equal(none.waiting?.summary, "No worker is registered.");
  const worker = await testWorker(server, { name: "near" });
  await testWorker(server, { name: "far", pool: "other" });
  const { waiting } = await showRun(server, none.id);
  assert.equal(waiting?.possible, false);
  assert.deepEqual(
    waiting?.workers.map(({ name, reasons }) => [name, ...reasons.map(({ code }) => code)]),
    [
      ["near", "label"],
      ["far", "pool", "label"],
    ],
  );
  assert.match(waiting?.summary ?? "", /near lacks label gpu/);
  const plain = await submit(server);
  assert.deepEqual((await showRun(server, plain.id)).waiting?.workers[0]?.reasons, []);
  await server.services.database.pool.query(
    "UPDATE workers SET last_seen_at = now() - interval '2 minutes', draining = true WHERE id = $1",
    [worker.id],
  );
  const gone = (await showRun(server, plain.id)).waiting;
  assert.equal(gone?.possible, true);
  assert.deepEqual(
    gone?.workers[0]?.reasons.map(({ code }) => code),
    ["offline", "draining"],
  );
});

test("a viewer may look but not submit, and another project sees nothing", async (t) => {
  const server = await runServer(t);
  const { id } = await submit(server);
  const refused = await server.call("viewer", { method: "POST", url: "/runs", payload: { pipeline: CHAIN } });
  assert.equal(refused.statusCode, 403);
  await server.services.database.pool.query("INSERT INTO projects (id, name) VALUES ('prj_other', 'other')");
  const authorization = `Bearer ${await testToken(server.services, "admin", "prj_other")}`;
  const other = async (url: string) => server.call(null, { url, headers: { authorization } });
  for (const url of ["/runs", "/pipelines", "/artifacts"]) assert.deepEqual((await other(url)).json().items, [], url);
  const paths = [`/runs/${id}`, "/runs/chain%231", "/runs/latest", `/runs/${id}/artifacts`];
  for (const url of [...paths, "/pipelines/chain", "/pipelines/chain/versions", "/pipelines/chain/versions/1"]) {
    assert.equal((await other(url)).statusCode, 404, url);
  }
});

test("what cannot be stored or looked up is refused as the caller's mistake", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const big = "99999999999";
  const urls = [
    ...[`/runs/${id}/events?after=${big}`, `/runs/${id}/logs?attempt=${big}`, "/runs/a%00b", "/runs?pipeline=%00"],
    ...[`/artifacts/a/b/c/${big}`, `/pipelines/chain/versions/${big}`, "/artifacts?cursor=99999999999999999999"],
    `/runs/${id}/steps?cursor=${Buffer.from(`[${big},0,"x"]`).toString("base64url")}`,
  ];
  for (const url of urls) {
    const { statusCode } = await server.call("viewer", { url });
    assert.ok(statusCode === 400 || statusCode === 404, `${url}: ${statusCode}`);
  }
  const events = [{ seq: 1, at: new Date().toISOString(), body: chainEvents()[0] }];
  const answer = await worker.call("POST", `/agent/runs/${id}/events`, { epoch: Number(big), events });
  assert.equal(answer.statusCode, 400);
});
