import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { inlineOutput, runServer, started, submit, succeeded, takeRun } from "../../../test/setup/run-fixture.ts";
import { testWorker } from "../../../test/setup/server.ts";
import { openFolderStore } from "../objects/folder-store.ts";
import { OBJECT_TIER_MIN_BYTES, oneStore } from "../objects/object-tiers.ts";

test("objects that were away for a while, as when their disk was not mounted, are there again", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "berth-restart-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const server = await runServer(t, { objects: oneStore(openFolderStore(folder)) });
  const worker = await testWorker(server);
  const bytes = randomBytes(OBJECT_TIER_MIN_BYTES + 10);
  const digest = createHash("sha256").update(bytes).digest("hex");
  const content = { ...inlineOutput("text", "").content, digest, size: bytes.length };
  await server.services.blobs.put(server.project, digest, bytes.length, bytes);
  await submit(server);
  const inputs = [{ name: "text", stepRun: "make", artifact: "text", digest }];
  await (await takeRun(worker)).report(
    { type: "run.started", backend: "process" },
    ...[started("make"), succeeded("make", [{ name: "text", content }])],
    ...[started("use"), succeeded("use", [], inputs)],
    { type: "run.finished", state: "succeeded", fault: null },
  );
  const restart = () =>
    server.call("developer", { method: "POST", url: "/runs/chain%231/restart", payload: { from: "use" } });
  await rename(join(folder, "objects"), join(folder, "away"));
  assert.equal((await restart()).statusCode, 409);
  await rename(join(folder, "away"), join(folder, "objects"));
  assert.equal((await restart()).statusCode, 201);
  const read = await server.call("viewer", { url: "/artifacts/chain/make/text/1/content" });
  assert.equal(read.statusCode, 200, read.body.slice(0, 300));
});
