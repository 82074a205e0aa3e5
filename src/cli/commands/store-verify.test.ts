import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { objectFile } from "../../../test/setup/object-file.ts";
import { inlineOutput, runServer, started, submit, succeeded, takeRun } from "../../../test/setup/run-fixture.ts";
import { testToken, testWorker } from "../../../test/setup/server.ts";
import { openFolderStore } from "../../server/objects/folder-store.ts";
import { oneStore } from "../../server/objects/object-tiers.ts";
import { runCaptured } from "../testing/run-captured.ts";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** A server that holds the artifact chain/make/text/1 as an object, and a source as a row. */
async function setup(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "berth-verify-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const server = await runServer(t, { objects: { ...oneStore(openFolderStore(folder)), objectMinBytes: 10_000 } });
  const { blobs } = server.services;
  const worker = await testWorker(server);
  const [bytes, source] = [randomBytes(20_000), randomBytes(100)];
  await blobs.put(server.project, sha256(bytes), bytes.length, bytes);
  await blobs.put(server.project, sha256(source), source.length, source);
  await submit(server, { source: { digest: sha256(source), size: source.length } });
  const content = { ...inlineOutput("text", "").content, digest: sha256(bytes), size: bytes.length };
  const reported = await (await takeRun(worker)).report(
    { type: "run.started", backend: "process" },
    ...[started("make"), succeeded("make", [{ name: "text", content }])],
    ...[
      started("use"),
      succeeded("use", [], [{ name: "text", stepRun: "make", artifact: "text", digest: sha256(bytes) }]),
    ],
    { type: "run.finished", state: "succeeded", fault: null },
  );
  assert.equal(reported.statusCode, 200, reported.body);
  const url = await server.app.listen({ host: "127.0.0.1", port: 0 });
  const token = await testToken(server.services, "operator", server.project);
  const verify = async (...more: string[]) =>
    runCaptured(["store", "verify", ...more, "--server", url, "--token", token]);
  const file = await objectFile(server.services, folder, sha256(bytes));
  return { server, verify, bytes, source, file };
}

test("a store that is as it was stored says so and ends with 0, however many parts it is looked at in", async (t) => {
  const { server, verify } = await setup(t);
  for (let at = 0; at < 600; at += 100) {
    const blobs = Array.from({ length: 100 }, () => randomBytes(50)).map((bytes) => ({ digest: sha256(bytes), bytes }));
    await server.services.blobs.putSmall(server.project, blobs);
  }
  const { exitCode, stdout, stderr } = await verify();
  assert.deepEqual([exitCode, stderr], [0, ""]);
  assert.match(stdout, /^Everything is what was stored: 602 blobs, [\d.]+ KiB\.\n$/);
  assert.match((await verify("--quick")).stdout, /^Everything is there \(bytes were not read\): 602 blobs/);
});

test("other bytes are found by reading them, with what they are needed for; they are taken again, and mended", async (t) => {
  const { server, verify, bytes, file } = await setup(t);
  const flipped = await readFile(file);
  flipped[7]! ^= 1;
  await writeFile(file, flipped);
  assert.equal((await verify("--quick")).exitCode, 0, "their number is right");
  const { exitCode, stdout } = await verify();
  assert.equal(exitCode, 1);
  assert.match(stdout, /1 blob is not what was stored, of 2 blobs/);
  assert.match(stdout, new RegExp(`damaged  ${sha256(bytes)}  19.5 KiB  in folder /`));
  assert.match(stdout, /chain\/make\/text\/1, made by chain#1\n/);
  assert.match(stdout, /berth restart chain#1 --from make/);
  const { blobs } = server.services;
  assert.deepEqual(await blobs.missing(server.project, [sha256(bytes)]), [sha256(bytes)]);
  // The backup is played back.
  await writeFile(file, bytes);
  const again = await verify();
  assert.equal(again.exitCode, 0);
  assert.match(again.stdout, /1 noted as damaged before is right again/);
  assert.deepEqual(await blobs.missing(server.project, [sha256(bytes)]), []);
});

test("objects and rows that are gone are found without reading, and named as JSON", async (t) => {
  const { server, verify, bytes, source, file } = await setup(t);
  await rename(file, `${file}-away`);
  await server.services.database.pool.query("DELETE FROM blob_bytes");
  const { exitCode, stdout } = await verify("--quick", "--json");
  assert.equal(exitCode, 1);
  const { damaged, ...rest } = JSON.parse(stdout);
  assert.deepEqual(rest, { blobs: 2, bytes: 20_100, mended: 0 });
  const byDigest = new Map(damaged.map((blob: { digest: string }) => [blob.digest, blob]));
  const none = { fault: "missing", hasMoreUses: false };
  assert.partialDeepStrictEqual(byDigest.get(sha256(bytes)), {
    ...{ ...none, tier: "object", size: 20_000 },
    uses: [{ kind: "artifact", pipeline: "chain", step: "make", name: "text", version: 1, item: "", run: 1 }],
  });
  assert.partialDeepStrictEqual(byDigest.get(sha256(source)), {
    ...{ ...none, tier: "database", object: null },
    uses: [{ kind: "source", pipeline: "chain", run: 1 }],
  });
  assert.match((await verify()).stdout, /source of chain#1[\s\S]*Submit or apply again/);
});

test("who may only read does not check the store", async (t) => {
  const { server } = await setup(t);
  const refused = await server.call("developer", { method: "POST", url: "/store/verify", payload: {} });
  assert.equal(refused.statusCode, 403);
  const wrong = await server.call("operator", { method: "POST", url: "/store/verify", payload: { cursor: "x" } });
  assert.equal(wrong.statusCode, 400);
});
