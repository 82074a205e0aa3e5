import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
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
import type { OutputNotes } from "../../protocol/output-notes.ts";
import type { ArtifactVersion } from "../../protocol/resources.ts";

const TRAINING = `
name: wine
environment: { image: busybox }
steps:
  train:
    matrix: { model: [knn, forest] }
    run: ./train
    outputs: { model: { path: m } }
`;

/** A run whose two step runs each committed a model, of which the first is tagged by its step. */
async function setUp(t: TestContext, notes: OutputNotes = { tags: { team: "ml", year: "2026" } }) {
  const server = await runServer(t);
  const { id } = await submit(server, { pipeline: TRAINING });
  const lease = await takeRun(await testWorker(server));
  const model = (key: string) =>
    succeeded(key, [{ ...inlineOutput("model", key), ...(key.includes("knn") ? notes : {}) }]);
  const answer = await lease.report(
    { type: "run.started", backend: "process" },
    ...["train[model=knn]", "train[model=forest]"].flatMap((key) => [started(key), model(key)]),
    { type: "run.finished", state: "succeeded", fault: null },
  );
  assert.equal(answer.statusCode, 200, answer.body);
  return { server, id };
}

const VERSION = "/artifacts/wine/train/model/1";

function change(server: TestServer, payload: object, query = "", role: "developer" | "viewer" = "developer") {
  return server.call(role, { method: "POST", url: `${VERSION}/tags${query}`, payload });
}

async function list(server: TestServer, query: string, path = "/artifacts"): Promise<string[]> {
  const answer = await server.call("viewer", { url: `${path}?${query}` });
  assert.equal(answer.statusCode, 200, answer.body);
  return (answer.json().items as ArtifactVersion[]).map(({ item }) => item).sort();
}

test("what a step says of an output is committed with its version, and no other version has it", async (t) => {
  const schema = { columns: [{ name: "a\u0000", type: "int64" }], shape: [3, 4] };
  const { server } = await setUp(t, { tags: { team: "ml" }, format: "onnx", schema });
  const items = (await server.call("viewer", { url: VERSION })).json().items;
  assert.deepEqual(
    items.map(({ item, format, tags }: ArtifactVersion) => [item, format, tags]),
    [
      ["model=knn", "onnx", { team: "ml" }],
      ["model=forest", null, {}],
    ],
  );
  assert.deepEqual(items[0].schema.shape, [3, 4]);
  assert.equal(items[1].schema, null);
  const { rows } = await server.services.database.pool.query("SELECT body::text FROM run_events");
  assert.ok(
    rows.every(({ body }) => !body.includes("columns")),
    "a schema is in the events, too",
  );
});

test("versions are found by their tags: by all that are asked for, by value or by key alone", async (t) => {
  const { server, id } = await setUp(t);
  await change(server, { set: { stage: "new" } });
  assert.deepEqual(await list(server, "tag=team=ml"), ["model=knn"]);
  assert.deepEqual(await list(server, "tag=team=ml&tag=year=2026&tag=stage"), ["model=knn"]);
  assert.deepEqual(await list(server, "tag=stage=new"), ["model=forest", "model=knn"]);
  assert.deepEqual(await list(server, "tag=team"), ["model=knn"]);
  assert.deepEqual(await list(server, "tag=team=other"), []);
  assert.deepEqual(await list(server, "tag=stage&limit=1"), ["model=forest"]);
  assert.deepEqual(await list(server, "tag=team=ml", `/runs/${id}/artifacts`), ["model=knn"]);
  assert.deepEqual(await list(server, `tag=${encodeURIComponent("team=ml' OR true --")}`), []);
});

test("people set and remove tags of a version, of all items or of one, and it is known who did and when", async (t) => {
  const { server } = await setUp(t);
  assert.deepEqual((await change(server, { set: { stage: "production", year: 2027 } })).json(), {
    items: 2,
    changed: 2,
  });
  assert.deepEqual((await change(server, { set: { stage: "production" } })).json(), { items: 2, changed: 0 });
  assert.deepEqual((await change(server, { remove: ["team", "none"] }, "?item=model%3Dknn")).json(), {
    ...{ items: 1, changed: 1 },
  });
  assert.deepEqual(await list(server, "tag=team"), []);
  const changes = (await server.call("viewer", { url: `${VERSION}/tags?item=model%3Dknn` })).json().items;
  assert.deepEqual(
    changes.map(({ key, value, by }: { key: string; value: string | null; by: string | null }) => [key, value, by]),
    [
      ["stage", "production", "test-developer"],
      ["team", null, "test-developer"],
      ["year", "2027", "test-developer"],
    ],
  );
  assert.deepEqual((await change(server, { set: { team: "core" } }, "?item=model%3Dknn")).json().changed, 1);
  assert.deepEqual(await list(server, "tag=team=core"), ["model=knn"]);
});

test("what cannot be a tag is refused, and then nothing is changed", async (t) => {
  const { server } = await setUp(t);
  const bad: readonly object[] = [
    {},
    { set: {}, remove: [] },
    { set: { "a b": "c" } },
    { set: { "": "c" } },
    { set: { a: "line\nbreak" } },
    { set: { a: "x".repeat(257) } },
    { set: { a: null } },
    { set: { a: "1" }, remove: ["a"] },
    { set: Object.fromEntries(Array.from({ length: 51 }, (_, n) => [`t${n}`, "x"])) },
    { tags: { a: "1" } },
  ];
  for (const body of bad) {
    assert.equal(errorOf(await change(server, body)).code, "invalid_request", JSON.stringify(body).slice(0, 80));
  }
  const fifty = Object.fromEntries(Array.from({ length: 49 }, (_, n) => [`t${n}`, "x"]));
  const crowded = errorOf(await change(server, { set: fifty }));
  assert.equal(crowded.code, "conflict");
  assert.match(crowded.message, /more than 50 tags: nothing was changed/);
  assert.deepEqual(await list(server, "tag=t0"), []);
  assert.equal(errorOf(await change(server, { set: { a: "1" } }, "?item=none")).code, "not_found");
  assert.equal(errorOf(await change(server, { set: { a: "1" } }, "", "viewer")).code, "forbidden");
});
