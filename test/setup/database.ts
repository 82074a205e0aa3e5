import { createHash, randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { startEmbeddedPostgres } from "../../src/server/postgres/embedded-postgres.ts";
import { readPostmasterPid, worksIn } from "../../src/server/postgres/postmaster-pid.ts";
import { processStart } from "../../src/server/process-identity.ts";
import { migrate, readMigrations } from "../../src/server/store/migrations.ts";

/** Real PostgreSQL for tests: one cluster, and for each caller a database of its own, cloned from a migrated one. */

/** Any number; guards the making of the template between test processes. */
const TEMPLATE_LOCK = 7_274_827_002;
const SILENT = { info: () => {}, warn: () => {}, error: () => {} };

const FOLDER_PREFIX = "berth-test-postgres-";

export interface TestCluster extends AsyncDisposable {
  readonly url: string;
}

/** A cluster in a temporary folder, which dispose removes. Nothing in it outlives the tests, so nothing is synced. */
export async function startTestCluster(): Promise<TestCluster> {
  await removeAbandoned();
  const folder = await mkdtemp(join(tmpdir(), FOLDER_PREFIX));
  try {
    await writeFile(join(folder, "owner"), owner(process.pid));
    const postgres = await startEmbeddedPostgres({
      folder,
      database: "postgres",
      log: SILENT,
      settings: { fsync: "off", synchronous_commit: "off", full_page_writes: "off", max_connections: "400" },
    });
    // The net for a process that ends in a hurry.
    const abandon = () => {
      process.kill(postgres.pid, "SIGQUIT");
      rmSync(folder, { recursive: true, force: true });
    };
    process.once("exit", abandon);
    return {
      url: postgres.url,
      [Symbol.asyncDispose]: async () => {
        process.off("exit", abandon);
        await postgres[Symbol.asyncDispose]();
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

const owner = (pid: number) => `${pid} ${processStart(pid)}`;

/** Ends what earlier test processes left because they were killed: PostgreSQL outlives its server on purpose. */
async function removeAbandoned(): Promise<void> {
  const names = (await readdir(tmpdir())).filter((name) => name.startsWith(FOLDER_PREFIX));
  for (const name of names) {
    const folder = join(tmpdir(), name);
    const owned = await readFile(join(folder, "owner"), "utf8").catch(() => null);
    if (owned === null || owned === owner(Number(owned.split(" ")[0]))) continue;
    const data = join(folder, "data");
    const pid = readPostmasterPid(data)?.pid ?? 0;
    const lives = () => pid > 0 && worksIn(pid, data);
    if (lives()) process.kill(pid, "SIGQUIT");
    while (lives()) await sleep(20);
    await rm(folder, { recursive: true, force: true });
  }
}

let usedCluster: Promise<string> | undefined;

/** The cluster of the whole suite, or one for this process, stopped when the process has nothing left to do. */
function clusterUrl(): Promise<string> {
  usedCluster ??= openCluster();
  return usedCluster;
}

async function openCluster(): Promise<string> {
  const shared = process.env.BERTH_TEST_DATABASE_URL;
  if (shared !== undefined && shared !== "") {
    process.once("beforeExit", () => void dropDatabases(shared, { inUse: true }));
    return shared;
  }
  const own = await startTestCluster();
  process.once("beforeExit", () => void own[Symbol.asyncDispose]());
  return own.url;
}

/** A migrated database of its own, with its own installation id; dropped when the test is over. */
export async function testDatabase(t: Pick<TestContext, "after">): Promise<{ readonly url: string }> {
  usedTemplate ??= clusterUrl().then(ensureTemplate);
  const database = await createDatabase(t, `TEMPLATE ${await usedTemplate} STRATEGY WAL_LOG`);
  await administer(database.url, (client) =>
    client.query("UPDATE installation SET id = $1", [randomBytes(6).toString("hex")]),
  );
  return database;
}

/** An empty database without any migration. */
export async function emptyDatabase(t: Pick<TestContext, "after">): Promise<{ readonly url: string }> {
  return await createDatabase(t, "");
}

let usedTemplate: Promise<string> | undefined;
const finished = new Set<string>();

async function createDatabase(t: Pick<TestContext, "after">, how: string): Promise<{ readonly url: string }> {
  const cluster = await clusterUrl();
  const name = `test_${process.pid}_${randomBytes(5).toString("hex")}`;
  await administer(cluster, (client) => client.query(`CREATE DATABASE ${name} ${how}`));
  t.after(async () => {
    finished.add(name);
    await dropDatabases(cluster, { inUse: false });
  });
  return { url: databaseUrl(cluster, name) };
}

/**
 * Drops what finished tests leave. This hook runs before those that close a test's connections, so a database that is
 * still in use waits for the next test's end, or the last.
 */
async function dropDatabases(cluster: string, { inUse }: { readonly inUse: boolean }): Promise<void> {
  if (finished.size === 0) return;
  await administer(cluster, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `SELECT datname AS name FROM pg_database d
        WHERE datname = ANY ($1) AND ($2 OR NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid))`,
      [[...finished], inUse],
    );
    for (const { name } of rows) {
      await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      finished.delete(name);
    }
  });
}

/** The template's name holds the checksums of all migrations, so a changed migration makes a new one. */
async function ensureTemplate(cluster: string): Promise<string> {
  const checksums = readMigrations().map((migration) => migration.checksum);
  const template = `template_${createHash("sha256").update(checksums.join()).digest("hex").slice(0, 16)}`;
  await administer(cluster, async (client) => {
    await client.query("SELECT pg_advisory_lock($1)", [TEMPLATE_LOCK]);
    const { rowCount } = await client.query("SELECT 1 FROM pg_database WHERE datname = $1", [template]);
    if (rowCount !== 0) return;
    await client.query(`DROP DATABASE IF EXISTS ${template}_new`);
    await client.query(`CREATE DATABASE ${template}_new`);
    await migrate(databaseUrl(cluster, `${template}_new`));
    await client.query(`ALTER DATABASE ${template}_new RENAME TO ${template}`);
  });
  return template;
}

async function administer<T>(cluster: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: cluster });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function databaseUrl(cluster: string, name: string): string {
  const url = new URL(cluster);
  url.pathname = `/${name}`;
  return url.href;
}
