import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { testDatabase } from "../../test/setup/database.ts";
import { sharedS3Server } from "../../test/setup/s3-server.ts";
import { readServerConfig } from "./config.ts";
import { openStores } from "./open-stores.ts";
import { Database } from "./store/database.ts";
import { migrate } from "./store/migrations.ts";
import { tieredBlobStore } from "./store/tiered-blob-store.ts";

const sha256Hex = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

type Variables = Readonly<Record<string, string>>;

/** A server's stores, opened anew with other variables as after a restart. */
async function installation(t: TestContext) {
  const { url } = await testDatabase(t);
  const id = await migrate(url);
  const database = new Database({ url, poolSize: 4 });
  const home = await mkdtemp(join(tmpdir(), "berth-stores-"));
  t.after(async () => {
    await database[Symbol.asyncDispose]();
    await rm(home, { recursive: true, force: true });
  });
  const { rows } = await database.pool.query<{ id: string }>("SELECT id FROM projects");
  const project = rows[0]!.id;
  const start = async (env: Variables) => {
    const started = new AsyncDisposableStack();
    t.after(() => started.disposeAsync());
    const { objects } = readServerConfig(
      { ...env, BERTH_OBJECTS_FROM: "64KiB", BERTH_LARGE_OBJECTS_FROM: "1MiB" },
      home,
    );
    const tiers = await openStores(objects, { database, installation: id, started });
    const blobs = tieredBlobStore(database, tiers);
    return {
      tiers,
      put: async (bytes: Buffer) => await blobs.put(project, sha256Hex(bytes), bytes.length, bytes),
      read: async (bytes: Buffer) => {
        const opened = await blobs.open(project, sha256Hex(bytes));
        return opened !== null && (await buffer(opened.stream)).equals(bytes);
      },
      faults: async (bytes: Buffer) => [...(await blobs.faulty(project, [sha256Hex(bytes)], 0)).values()],
    };
  };
  return { start, home, database };
}

async function bucketPlace(): Promise<string> {
  const server = await sharedS3Server();
  Object.assign(process.env, server.env);
  return `s3://${await server.makeBucket()}/berth?endpoint=${server.endpoint}`;
}

test("blobs of before are read where they lie, in a folder or a bucket, when new ones go elsewhere", async (t) => {
  const { start, home } = await installation(t);
  const [small, large, later] = [randomBytes(100_000), randomBytes(2_000_000), randomBytes(100_001)];
  const folder = { BERTH_OBJECTS: join(home, "first") };
  const first = await start(folder);
  await first.put(small);
  await first.put(large);

  const bucket = await bucketPlace();
  const moved = {
    BERTH_OBJECTS: bucket,
    BERTH_LARGE_OBJECTS: join(home, "large"),
    BERTH_OLD_OBJECTS: folder.BERTH_OBJECTS,
  };
  const second = await start(moved);
  await second.put(later);
  for (const bytes of [small, large, later]) assert.ok(await second.read(bytes));

  const back = await start({ ...folder, BERTH_OLD_OBJECTS: bucket });
  for (const bytes of [small, large, later]) assert.ok(await back.read(bytes));
});

test("what lies in a store that is not configured is a clear error; it counts as missing until the store is back", async (t) => {
  const { start, home } = await installation(t);
  const bytes = randomBytes(100_000);
  await (await start({ BERTH_OBJECTS: join(home, "first") })).put(bytes);
  const without = await start({ BERTH_OBJECTS: join(home, "second") });
  await assert.rejects(without.read(bytes), (error: Error & { code: string; advice: string }) => {
    assert.equal(error.code, "store_misconfigured");
    assert.match(error.message, /not configured: [0-9a-z]{8}, folder .*\/first\./);
    return /BERTH_OLD_OBJECTS/.test(error.advice);
  });
  assert.deepEqual(await without.faults(bytes), ["missing"]);
  const again = await start({ BERTH_OBJECTS: join(home, "second"), BERTH_OLD_OBJECTS: join(home, "first") });
  assert.deepEqual(await again.faults(bytes), []);
  assert.ok(await again.read(bytes));
});

test("a store that was moved is known again by what lies in it", async (t) => {
  const { start, home } = await installation(t);
  const bytes = randomBytes(100_000);
  await (await start({ BERTH_OBJECTS: join(home, "here") })).put(bytes);
  await rename(join(home, "here"), join(home, "there"));
  assert.ok(await (await start({ BERTH_OBJECTS: join(home, "there") })).read(bytes));
});

test("an empty folder where the data was is refused, as when its disk is not mounted", async (t) => {
  const { start, home } = await installation(t);
  await start({ BERTH_OBJECTS: join(home, "data") });
  await rm(join(home, "data"), { recursive: true });
  await assert.rejects(start({ BERTH_OBJECTS: join(home, "data") }), (error: Error & { advice: string }) => {
    assert.match(error.message, /gone from folder .*\/data: its berth-store\.json is not there/);
    return /disk is mounted/.test(error.advice);
  });
});

test("a store of another installation is refused", async (t) => {
  const [one, other] = [await installation(t), await installation(t)];
  const place = { BERTH_OBJECTS: await bucketPlace() };
  await one.start(place);
  await assert.rejects(other.start(place), /data of another installation/);
});

test("an old place that holds nothing of this installation is refused", async (t) => {
  const { start, home } = await installation(t);
  await start({});
  await assert.rejects(start({ BERTH_OLD_OBJECTS: join(home, "typo") }), {
    message: `The folder ${join(home, "typo")} holds no data of this installation.`,
    advice: "Correct BERTH_OLD_OBJECTS, or leave this place out of it.",
  });
});

test("servers that start at once on a new store agree on what it is", async (t) => {
  const { start, database } = await installation(t);
  const place = { BERTH_OBJECTS: await bucketPlace() };
  const servers = await Promise.all(Array.from({ length: 4 }, () => start(place)));
  assert.equal(new Set(servers.map(({ tiers }) => tiers.known?.ids.object)).size, 1);
  assert.equal((await database.pool.query("SELECT FROM object_stores")).rowCount, 1);
});

test("blobs of before stores had markers are read when the same start moves to another store", async (t) => {
  const { start, home, database } = await installation(t);
  const bytes = randomBytes(100_000);
  const old = { BERTH_OBJECTS: join(home, "old") };
  await (await start(old)).put(bytes);
  // As that version left it.
  const { rows } = await database.pool.query<{ key: string }>("SELECT object_key AS key FROM blobs");
  const [key] = [rows[0]!.key];
  await rename(join(home, "old/objects", key), join(home, "old/objects", key.split(".")[0]!));
  await rm(join(home, "old/objects/berth-store.json"));
  await database.pool.query("UPDATE blobs SET object_key = NULL");
  await database.pool.query("DELETE FROM object_stores");
  const moved = await start({ BERTH_OBJECTS: join(home, "new"), BERTH_OLD_OBJECTS: old.BERTH_OBJECTS });
  assert.ok(await moved.read(bytes));
});
