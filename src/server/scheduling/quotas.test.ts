import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { age, collectNow, produce, producer } from "../../../test/setup/retention-fixture.ts";
import {
  errorOf,
  inlineOutput,
  runServer,
  showRun,
  started,
  submit,
  succeeded,
  takeRun,
} from "../../../test/setup/run-fixture.ts";
import { testToken, testWorker } from "../../../test/setup/server.ts";
import { runCaptured } from "../../cli/testing/run-captured.ts";
import type { BerthError } from "../../protocol/errors.ts";
import type { StoreUsage } from "../../protocol/usage.ts";
import { openFolderStore } from "../objects/folder-store.ts";
import { oneStore } from "../objects/object-tiers.ts";
import { endingAtQuota } from "./admit-outputs.ts";
import { sampleUsage } from "./sample-usage.ts";

test("a run that would pass a quota ends with a fault that says it, and is not tried again", async (t) => {
  const server = await runServer(t);
  const { services, project } = server;
  const worker = await testWorker(server);
  const set = async (payload: object, role: "admin" | "operator" = "admin") =>
    server.call(role, { method: "PUT", url: "/store/quotas", payload });
  await produce(server, worker, producer("p"), "x".repeat(900));
  const limit = { pipeline: null, maxBytes: 1_000, maxArtifactBytes: 950 };
  assert.equal((await set(limit, "operator")).statusCode, 403);
  assert.equal((await set(limit)).json().items[0].usedBytes, 900);

  const attempt = async (bytes: number) => {
    const { id } = await submit(server, { pipeline: producer("p") });
    const run = await takeRun(worker);
    const output = inlineOutput("out", `${bytes}`.padEnd(bytes, "y"));
    const answer = await run.report(
      { type: "run.started", backend: "process" },
      started("make"),
      succeeded("make", [output]),
    );
    return { id, run, answer };
  };
  const large = await attempt(951);
  assert.deepEqual([large.answer.statusCode, errorOf(large.answer).code], [413, "quota_exceeded"]);
  assert.match(
    errorOf(large.answer).message,
    /The output "out" of make has 951 B; one artifact of the project may have 950 B/,
  );
  const { id, run, answer } = await attempt(200);
  assert.match(errorOf(answer).message, /The project may store 1000 B and has 900 B: 200 B more do not fit/);
  assert.match(errorOf(answer).advice!, /Most is used by p \(900 B\).*administrator/);
  const shown = await showRun(server, id);
  assert.deepEqual([shown.state, shown.fault?.code, shown.fault?.blame], ["failed", "quota-exceeded", "platform"]);
  assert.equal(
    (await run.report({ type: "run.started", backend: "process" })).statusCode,
    409,
    "its agent lets go of it",
  );
  const { rows } = await services.database.pool.query("SELECT FROM runs WHERE state IN ('queued', 'running')");
  assert.equal(rows.length, 0, "nobody takes it again");

  // What is uploaded before it is committed comes to the same.
  await submit(server, { pipeline: producer("p") });
  const held = await takeRun(worker);
  const holder = { project, worker: worker.id, run: held.assignment.run, epoch: held.assignment.epoch };
  await assert.rejects(
    endingAtQuota(services, holder, () => services.quotas.admit({ project, blobs: new Map([["f".repeat(64), 200]]) })),
    (error: BerthError) => error.code === "quota_exceeded",
  );
  assert.equal((await showRun(server, holder.run)).fault?.code, "quota-exceeded");

  // What was freed counts at once.
  await age(server, 15);
  await collectNow(server);
  services.quotas.forget(project);
  assert.equal((await attempt(900)).answer.statusCode, 200);
  assert.equal((await set({ pipeline: "p", maxBytes: 1_500, maxArtifactBytes: null })).statusCode, 200);
  await set({ pipeline: null, maxBytes: null, maxArtifactBytes: null });
  assert.match(errorOf((await attempt(700)).answer).message, /The pipeline p may store 1.5 KiB and has 900 B/);
  assert.equal((await set({ pipeline: "q", maxBytes: 1, maxArtifactBytes: null })).statusCode, 404);
});

test("what is in the store is told by tier and pipeline, now and over time, and what goes next", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "berth-usage-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const server = await runServer(t, { objects: oneStore(openFolderStore(folder)) });
  const { database } = server.services;
  const worker = await testWorker(server);
  await produce(server, worker, producer("a"), "x".repeat(1000));
  await produce(server, worker, producer("a"), "x".repeat(1000));
  await produce(server, worker, producer("b", "retention: 1d"), "y".repeat(500));
  await server.call("developer", { method: "PUT", url: "/artifacts/a/make/out/1/pin", payload: {} });
  await sampleUsage(database, { intervalMs: 0 });
  await database.pool.query("UPDATE store_samples SET at = at - interval '3 hours'");
  await produce(server, worker, producer("b", "retention: 1d"), "z".repeat(2500));
  await sampleUsage(database, { intervalMs: 0 });
  const usage = (await server.call("viewer", { url: "/store/usage" })).json() as StoreUsage;
  assert.deepEqual([usage.bytes, usage.tiers], [4000, [{ tier: "database", blobs: 3, bytes: 4000 }]]);
  assert.deepEqual(usage.pipelines, [
    { pipeline: "b", versions: 2, bytes: 3000, referencedBytes: 3000, pinnedBytes: 0 },
    { pipeline: "a", versions: 2, bytes: 1000, referencedBytes: 2000, pinnedBytes: 1000 },
  ]);
  assert.equal(usage.expiring.length, 7);
  assert.deepEqual(usage.expiring[1], { day: usage.expiring[1]!.day, versions: 2, referencedBytes: 3000 });
  assert.deepEqual(
    usage.history.map(({ bytes }) => bytes),
    [1500, 4000],
  );
  const ofB = (await server.call("viewer", { url: "/store/usage?pipeline=b" })).json() as StoreUsage;
  assert.deepEqual(
    ofB.history.map(({ bytes }) => bytes),
    [500, 3000],
  );
  assert.equal((await server.call("viewer", { url: "/store/usage?pipeline=c" })).statusCode, 404);

  const url = await server.app.listen({ host: "127.0.0.1", port: 0 });
  const token = await testToken(server.services, "admin", server.project);
  const berth = async (...argv: string[]) => {
    const { exitCode, stdout, stderr } = await runCaptured(["store", ...argv, "--server", url, "--token", token]);
    assert.equal(exitCode, 0, stderr);
    return stdout;
  };
  assert.match(
    await berth("quota", "set", "4.5KB", "--artifact-max", "1GiB"),
    /project: 3.9 KiB of 4.4 KiB \(88 %\).*1.0 GiB in one artifact: little is left/,
  );
  const text = await berth("usage");
  assert.match(text, /^3.9 KiB in the store\nproject: 3.9 KiB of 4.4 KiB \(88 %\)/);
  assert.match(text, /b +2 +2.9 KiB +2.9 KiB +-\na +2 +1000 B +2.0 KiB +1000 B/);
  assert.match(text, /2 versions, 2.9 KiB\n/);
  assert.match(text, /What the project had, since .*:\n3.9 KiB │ +█/);
  await database.pool.query(
    "UPDATE artifact_versions SET expires_at = now(), created_at = created_at - interval '2 days' WHERE retention IS NOT NULL",
  );
  assert.match(
    await berth("collect", "--dry-run", "--grace", "0s"),
    /2 versions would go, which refer to 2.9 KiB\n0 blobs would go/,
  );
  assert.match(
    await berth("collect", "--grace", "0s"),
    /2 versions went.*\n2 blobs went that nothing refers to: 2.9 KiB/,
  );
  assert.match(await berth("collect"), /Nothing had to go/);
  await berth("quota", "unset");
});

test("samples are kept for a week by the hour, and after that by the day", async (t) => {
  const server = await runServer(t);
  const { pool } = server.services.database;
  await pool.query(
    `INSERT INTO store_samples SELECT $1, 'tier', 'database', now() - n * interval '1 hour', n, n FROM generate_series(1, 24 * 10) AS n`,
    [server.project],
  );
  await sampleUsage(server.services.database, { intervalMs: 0 });
  const { rows } = await pool.query(
    "SELECT at < now() - interval '7 days' AS old, count(*)::int AS count FROM store_samples GROUP BY 1 ORDER BY 1",
  );
  assert.equal(rows[0].count, 24 * 7 - 1);
  assert.ok(rows[1].count === 3 || rows[1].count === 4, `${rows[1].count} days`);
});
