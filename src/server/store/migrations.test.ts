import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { emptyDatabase, testDatabase } from "../../../test/setup/database.ts";
import { BerthError } from "../../protocol/errors.ts";
import { type Migration, migrate, readMigrations } from "./migrations.ts";

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

function extra(version: number, sql: string): Migration {
  return { version, name: `extra_${version}`, sql, checksum: `checksum of ${sql}` };
}

test("an empty database gets every migration once, one installation id and the default project", async (t) => {
  const { url } = await emptyDatabase(t);
  const first = await migrate(url);
  assert.match(first, /^[0-9a-z]{12}$/);
  assert.equal(await migrate(url), first);
  const applied = await query(url, "SELECT version, name FROM schema_migrations ORDER BY version");
  assert.deepEqual(
    applied,
    readMigrations().map(({ version, name }) => ({ version, name })),
  );
  const projects = await query(url, "SELECT name FROM projects");
  assert.deepEqual(projects, [{ name: "default" }]);
});

test("replicas that start at the same time migrate once and agree on the installation", async (t) => {
  const { url } = await emptyDatabase(t);
  const ids = await Promise.all(Array.from({ length: 6 }, () => migrate(url)));
  assert.equal(new Set(ids).size, 1);
});

test("a failing migration leaves nothing behind, and those before it stay", async (t) => {
  const { url } = await emptyDatabase(t);
  const known = readMigrations();
  const good = extra(known.length + 1, "CREATE TABLE kept (x int)");
  const bad = extra(known.length + 2, "CREATE TABLE half (x int); SELECT 1 / 0");
  await assert.rejects(migrate(url, [...known, good, bad]), /migration \d+ \(extra_\d+\) failed: division by zero/);
  const tables = await query(url, "SELECT tablename FROM pg_tables WHERE tablename IN ('kept', 'half')");
  assert.deepEqual(tables, [{ tablename: "kept" }]);
  await migrate(url, [...known, good, extra(bad.version, "CREATE TABLE half (x int)")]);
});

test("a database that a newer Berth migrated is refused and left alone", async (t) => {
  const { url } = await testDatabase(t);
  const known = readMigrations();
  await migrate(url, [...known, extra(known.length + 1, "SELECT 1")]);
  await assert.rejects(migrate(url), (error: unknown) => {
    assert.ok(error instanceof BerthError);
    assert.match(error.message, /migrated by a newer Berth/);
    return true;
  });
});

test("a migration that was changed after it was applied is refused", async (t) => {
  const { url } = await testDatabase(t);
  const known = readMigrations();
  const changed = known.map((migration) => ({ ...migration, checksum: "other" }));
  await assert.rejects(migrate(url, changed), /is not the one of this Berth/);
});

test("each test database is a separate installation", async (t) => {
  const ids = await Promise.all(
    [testDatabase(t), testDatabase(t)].map(async (database) => migrate((await database).url)),
  );
  assert.notEqual(ids[0], ids[1]);
});
