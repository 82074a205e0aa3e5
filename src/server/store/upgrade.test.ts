import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import pg from "pg";
import { emptyDatabase } from "../../../test/setup/database.ts";
import { collectNow } from "../../../test/setup/retention-fixture.ts";
import { CHAIN, inlineOutput, runServer } from "../../../test/setup/run-fixture.ts";
import { newId } from "../../protocol/ids.ts";
import { openFolderStore } from "../objects/folder-store.ts";
import { sharedKey } from "../objects/object-key.ts";
import { oneStore } from "../objects/object-tiers.ts";
import { compileFile } from "../scheduling/compile-file.ts";
import { migrate, readMigrations } from "./migrations.ts";

/** The last migration before blobs had tiers and uploads, and versions an end. */
const BEFORE = 15;

const digestOf = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

test("what a database has from before the data store stays as it was, is read, restarted from, and goes by the rules", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "berth-upgrade-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const store = openFolderStore(folder);
  const { url } = await emptyDatabase(t);
  await migrate(
    url,
    readMigrations().filter(({ version }) => version <= BEFORE),
  );
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const project: string = (await client.query("SELECT id FROM projects")).rows[0].id;
  const [pipeline, worker, failed, old] = [newId("pipeline"), newId("worker"), newId("run"), newId("run")];
  const small = Buffer.from("small");
  const object = Buffer.from("an object under the key of before");
  await store.put(sharedKey(project, digestOf(object)), [object] as never);
  await client.query(
    `INSERT INTO workers (id, project_id, name, type, pool, labels, public_key, agent_version, capabilities)
     VALUES ($1, $2, 'w', 'local', 'default', '{}', 'key', '0', '{}')`,
    [worker, project],
  );
  await client.query(
    "INSERT INTO pipelines (id, project_id, name, latest_version, last_run_number) VALUES ($1, $2, 'chain', 1, 2)",
    [pipeline, project],
  );
  await client.query(
    `INSERT INTO pipeline_versions (pipeline_id, version, project_id, digest, source, plan, created_by)
     VALUES ($1, 1, $2, 'd', $3, $4, 'somebody')`,
    [pipeline, project, CHAIN, JSON.stringify(compileFile(CHAIN, "chain.yaml").plan)],
  );
  await client.query(
    "INSERT INTO artifacts (project_id, pipeline_id, step, name, latest_version) VALUES ($1, $2, 'make', 'text', 2)",
    [project, pipeline],
  );
  const runs = [
    { id: old, number: 1, days: 20, bytes: object, state: "succeeded", tier: "object" },
    { id: failed, number: 2, days: 1, bytes: small, state: "failed", tier: "database" },
  ];
  for (const { id, number, days, bytes, state, tier } of runs) {
    const then = `now() - interval '${days} days'`;
    await client.query("INSERT INTO blobs (project_id, digest, size, tier) VALUES ($1, $2, $3, $4)", [
      ...[project, digestOf(bytes), bytes.length, tier],
    ]);
    await client.query(
      `INSERT INTO runs (id, project_id, pipeline_id, pipeline_version, number, params, pool, labels, state, created_by,
         created_at, finished_at, stream_seq) VALUES ($1, $2, $3, 1, $4, '{}', 'default', '{}', $5, 'somebody', ${then}, ${then}, 1)`,
      [id, project, pipeline, number, state],
    );
    await client.query(
      `INSERT INTO step_runs (run_id, key, project_id, step, position, state, attempts)
       VALUES ($1, 'make', $2, 'make', 0, 'succeeded', 1), ($1, 'use', $2, 'use', 1, $3, 1)`,
      [id, project, state],
    );
    const { content } = inlineOutput("text", bytes.toString());
    await client.query("INSERT INTO run_events (run_id, seq, project_id, body) VALUES ($1, 1, $2, $3)", [
      ...[id, project, { type: "attempt.finished", stepRun: "make", outputs: [{ name: "text", content }] }],
    ]);
    await client.query("INSERT INTO artifact_runs (artifact_id, run_id, project_id, version) VALUES (1, $1, $2, $3)", [
      ...[id, project, number],
    ]);
    await client.query(
      `INSERT INTO artifact_versions (project_id, artifact_id, version, item, run_id, step_run, attempt, name, worker_id,
         kind, digest, size, file_count, file_name, content_type, created_at)
       VALUES ($1, 1, $2, '', $3, 'make', 1, 'text', $4, 'file', $5, $6, 1, 'text', 'text/plain', ${then})`,
      [project, number, id, worker, digestOf(bytes), bytes.length],
    );
  }
  await client.query("INSERT INTO blob_bytes VALUES ($1, $2, $3)", [project, digestOf(small), small]);
  await client.query("INSERT INTO artifact_inputs SELECT $1, 'use', 'text', max(id), $2 FROM artifact_versions", [
    ...[failed, project],
  ]);
  await client.end();

  await migrate(url);
  const server = await runServer(t, { url, objects: oneStore(store) });
  const get = async (path: string) => await server.call("viewer", { url: path });
  assert.equal((await get("/artifacts/chain/make/text/1/content")).body, object.toString());
  assert.equal((await get("/artifacts/chain/make/text/2/content")).body, "small");
  const { items } = (await get("/artifacts")).json();
  const days = items.map(({ createdAt, expiresAt }: { createdAt: string; expiresAt: string }) =>
    Math.round((Date.parse(expiresAt) - Date.parse(createdAt)) / 86_400_000),
  );
  assert.deepEqual(days, [14, 14]);
  const rule = (await get("/artifacts/chain/make/text/2/retention")).json().items[0].rule.text;
  assert.equal(rule, "14d, the default");

  const pass = await collectNow(server);
  assert.deepEqual([pass.expired, pass.blobs], [1, 1], "what is older than the default went, with its object");
  assert.equal(await store.stat(sharedKey(project, digestOf(object))), null);
  assert.equal((await get("/artifacts/chain/make/text/1/content")).statusCode, 410);
  const restarted = await server.call("developer", { method: "POST", url: `/runs/${failed}/restart`, payload: {} });
  assert.equal(restarted.statusCode, 201, restarted.body);
  assert.equal((await get("/artifacts/chain/make/text/latest/content")).body, "small");
});
