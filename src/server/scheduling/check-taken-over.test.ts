import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { objectFile } from "../../../test/setup/object-file.ts";
import {
  chainEvents,
  errorOf,
  inlineOutput,
  runServer,
  started,
  submit,
  succeeded,
  takeRun,
} from "../../../test/setup/run-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";
import { step } from "../../pipeline/testing/step-plan.ts";
import { openFolderStore } from "../objects/folder-store.ts";
import { OBJECT_TIER_MIN_BYTES, oneStore } from "../objects/object-tiers.ts";
import { stepThatMakesAgain } from "./check-taken-over.ts";

const restartOf = (server: TestServer, run: string, payload: object) =>
  server.call("developer", { method: "POST", url: `/runs/${encodeURIComponent(run)}/restart`, payload });

async function serverWithObjects(t: TestContext): Promise<{ server: TestServer; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), "berth-restart-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return { server: await runServer(t, { objects: oneStore(openFolderStore(folder)) }), folder };
}

async function artifactText(server: TestServer, version: number): Promise<string> {
  return (await server.call("viewer", { url: `/artifacts/chain/make/text/${version}/content` })).body;
}

for (const [what, damage, why] of [
  ["are not there", "DELETE FROM blob_bytes", "missing"],
  ["are others", "UPDATE blob_bytes SET data = set_byte(data, 0, get_byte(data, 0) # 1)", "damaged"],
] as const) {
  test(`a restart whose bytes ${what} is refused and names them; made again, the very same bytes are stored again`, async (t) => {
    const server = await runServer(t);
    const worker = await testWorker(server);
    await submit(server);
    assert.equal((await (await takeRun(worker)).report(...chainEvents("hello"))).statusCode, 200);
    await server.services.database.pool.query(damage);

    const refused = await restartOf(server, "chain#1", { from: "use" });
    assert.equal(refused.statusCode, 409, refused.body);
    const { message, advice, details } = errorOf(refused);
    assert.deepEqual(details, { artifacts: [{ artifact: "make/text", why }], from: "make" });
    assert.match(message, new RegExp(`make/text \\(${why}\\)`));
    assert.match(advice!, /berth restart chain#1 --from make/);
    const { rows } = await server.services.database.pool.query("SELECT count(*) FROM runs");
    assert.deepEqual(rows, [{ count: 1 }], "and no run was made");

    assert.equal((await restartOf(server, "chain#1", { from: "make" })).statusCode, 201);
    assert.equal((await (await takeRun(worker)).report(...chainEvents("hello"))).statusCode, 200);
    assert.equal(await artifactText(server, 2), "hello");
    assert.equal(await artifactText(server, 1), "hello", "the older version has the same bytes, and is mended with it");
    assert.equal((await restartOf(server, "chain#1", { from: "use" })).statusCode, 201);
  });
}

test("objects are looked at too, and taken again from whoever has them", async (t) => {
  const { server, folder } = await serverWithObjects(t);
  const worker = await testWorker(server);
  const bytes = randomBytes(OBJECT_TIER_MIN_BYTES + 10);
  const digest = createHash("sha256").update(bytes).digest("hex");
  const content = { ...inlineOutput("text", "").content, digest, size: bytes.length };
  await server.services.blobs.put(server.project, digest, bytes.length, bytes);
  await submit(server);
  const inputs = [{ name: "text", stepRun: "make", artifact: "text", digest }];
  const answer = await (await takeRun(worker)).report(
    { type: "run.started", backend: "process" },
    ...[started("make"), succeeded("make", [{ name: "text", content }])],
    ...[started("use"), succeeded("use", [], inputs)],
    { type: "run.finished", state: "succeeded", fault: null },
  );
  assert.equal(answer.statusCode, 200, answer.body);
  const { blobs } = server.services;
  const flipped = Buffer.from(bytes);
  flipped[7]! ^= 1;
  for (const [change, why] of [
    [(stored: string) => writeFile(stored, flipped), "damaged"],
    [(stored: string) => writeFile(stored, bytes.subarray(1)), "damaged"],
    [(stored: string) => rm(stored), "missing"],
  ] as const) {
    await change(await objectFile(server.services, folder, digest));
    const refused = await restartOf(server, "chain#1", { from: "use" });
    assert.deepEqual(
      [refused.statusCode, errorOf(refused).details?.artifacts],
      [409, [{ artifact: "make/text", why }]],
    );
    assert.deepEqual(await blobs.missing(server.project, [digest]), [digest], "it counts as absent");
    await blobs.put(server.project, digest, bytes.length, bytes);
    assert.deepEqual(await blobs.missing(server.project, [digest]), []);
  }
  assert.equal((await restartOf(server, "chain#1", { from: "use" })).statusCode, 201);
});

test("what was made before is not taken from the cache where its bytes are gone", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const key = "c".repeat(64);
  const cache = { key, components: { command: "x" } };
  await submit(server);
  const [begin, , made, ...rest] = chainEvents("hello");
  const first = await (await takeRun(worker)).report(
    begin!,
    { ...started("make"), cache } as typeof made & object,
    made!,
    ...rest,
  );
  assert.equal(first.statusCode, 200, first.body);
  await submit(server);
  const { assignment } = await takeRun(worker);
  const { run, epoch } = assignment;
  const lookups = [{ stepRun: "make", key, ttlMs: null }];
  const ask = async () => (await worker.call("POST", `/agent/runs/${run}/cache`, { epoch, lookups })).json().hits;
  assert.equal((await ask())[0].number, 1);
  await server.services.database.pool.query("UPDATE blob_bytes SET data = 'other'");
  assert.deepEqual(await ask(), [null]);
});

test("the step to restart from is the last that makes all again of what is gone", () => {
  const needs = (name: string, ...needed: string[]) => ({ ...step(name), needs: needed });
  const plan = { steps: [needs("a"), needs("b", "a"), needs("c", "b"), needs("other")] };
  assert.equal(stepThatMakesAgain(plan, new Set(["b", "c"])), "b");
  assert.equal(stepThatMakesAgain(plan, new Set(["c"])), "c");
  assert.equal(stepThatMakesAgain(plan, new Set(["c", "other"])), null);
});
