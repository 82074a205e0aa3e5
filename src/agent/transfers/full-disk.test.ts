import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openFolderStore } from "../../server/objects/folder-store.ts";
import { oneStore } from "../../server/objects/object-tiers.ts";
import { transferWorld } from "../testing/transfer-fixture.ts";
import { until } from "../testing/until.ts";

const MiB = 1024 * 1024;
const skip = process.getuid?.() !== 0 && "only root can mount a file system that is too small";

/** A disk of its own, of this size. */
function smallDisk(t: TestContext, bytes: number): { readonly folder: string; resize(bytes: number): void } {
  const folder = mkdtempSync(join(tmpdir(), "berth-small-disk-"));
  const run = (...args: string[]) => assert.equal(spawnSync(args[0]!, args.slice(1)).status, 0, args.join(" "));
  run("mount", "-t", "tmpfs", "-o", `size=${bytes}`, "berth-test", folder);
  t.after(() => {
    run("umount", "-l", folder);
    rmSync(folder, { recursive: true, force: true });
  });
  return { folder, resize: (size) => run("mount", "-o", `remount,size=${size}`, folder) };
}

test("a server whose disk is full says so, and the upload goes on once there is room", { skip }, async (t) => {
  const disk = smallDisk(t, 12 * MiB);
  const world = await transferWorld(t, oneStore(openFolderStore(disk.folder)));
  const agent = await world.agent();
  const blob = world.file(20 * MiB);
  const sending = agent.send(blob);
  await until("the agent says why it waits", () =>
    world.warnings.some((line) => /disk.*full|full.*disk|no space left/i.test(line)),
  );
  assert.equal((await world.server.services.database.pool.query("SELECT FROM blobs")).rowCount, 0);
  const before = world.proxy.sentBytes;
  disk.resize(64 * MiB);
  await sending;
  assert.ok(world.proxy.sentBytes - before < blob.size, "what was there was not sent again");
  assert.ok(readFileSync(await agent.fetch(blob)).equals(blob.bytes));
});

test("an input for which the worker's disk has no room leaves nothing there", { skip }, async (t) => {
  const objects = mkdtempSync(join(tmpdir(), "berth-objects-"));
  t.after(() => rmSync(objects, { recursive: true, force: true }));
  const world = await transferWorld(t, oneStore(openFolderStore(objects)));
  const agent = await world.agent();
  const blob = world.file(20 * MiB);
  await agent.send(blob);
  const disk = smallDisk(t, 12 * MiB);
  const cache = join("..", disk.folder.slice(tmpdir().length + 1));
  await assert.rejects(agent.fetch(blob, cache), { code: "ENOSPC" });
  assert.deepEqual(readdirSync(join(disk.folder, "incoming")), []);
  assert.deepEqual(readdirSync(join(disk.folder, "blobs")), []);
});
