import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { collectNow } from "../../../test/setup/retention-fixture.ts";
import { runServer } from "../../../test/setup/run-fixture.ts";
import { openFolderStore } from "../objects/folder-store.ts";
import { newObjectKey } from "../objects/object-key.ts";
import { oneStore } from "../objects/object-tiers.ts";

test("a blob in a store that is not configured any more keeps no other from being removed", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "berth-unconfigured-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const store = openFolderStore(folder);
  const [here, away] = ["herehere", "awayaway"];
  const server = await runServer(t, {
    objects: {
      ...oneStore(store),
      known: { ids: { object: here, large: here }, open: new Map([[here, store]]), first: here, places: new Map() },
    },
  });
  const { services, project } = server;
  const keys = [away, here, away, here].map((id, index) => newObjectKey(project, `${index}`.repeat(64), id));
  for (const [index, key] of keys.entries()) {
    if (index % 2 === 1) await store.put(key, [Buffer.from("text")] as never);
    await services.database.pool.query(
      `INSERT INTO blobs (project_id, digest, size, tier, object_key, unsure_since)
       VALUES ($1, $2, 4, 'object', $3, now() - $4 * interval '1 day')`,
      [project, `${index}`.repeat(64), key, 10 - index],
    );
  }
  const pass = await collectNow(server);
  assert.deepEqual([pass.blobs, pass.done], [4, true]);
  assert.deepEqual([await store.stat(keys[1]!), await store.stat(keys[3]!)], [null, null]);
});
