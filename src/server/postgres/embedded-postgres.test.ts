import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { processStart } from "../process-identity.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "./embedded-postgres.ts";

const SILENT = { info: () => {}, warn: () => {}, error: () => {} };

/** Below a folder that only its owner may enter, as /root is. */
async function privateFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "berth-embedded-"));
  await chmod(folder, 0o700);
  t.after(async () => {
    await stopLeftOver(join(folder, "home/postgres/data"));
    await rm(folder, { recursive: true, force: true });
  });
  await mkdir(join(folder, "home"), { mode: 0o700 });
  return join(folder, "home/postgres");
}

/** A failed test must not leave a PostgreSQL behind. */
async function stopLeftOver(dataFolder: string): Promise<void> {
  if (!existsSync(join(dataFolder, "postmaster.pid"))) return;
  const pid = Number(readFileSync(join(dataFolder, "postmaster.pid"), "utf8").split("\n")[0]);
  if (processStart(pid) === null) return;
  process.kill(pid, "SIGQUIT");
  while (processStart(pid) !== null) await sleep(20);
}

const start = (folder: string): Promise<EmbeddedPostgres> =>
  startEmbeddedPostgres({ folder, database: "berth", log: SILENT });

async function query<T extends object>(url: string, sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query<T>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Tries until it works; reports the last failure when it never does. */
async function eventually<T>(work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(25);
    }
  }
}

/** A server process that does nothing but keep its PostgreSQL. */
async function startInChild(folder: string): Promise<{ child: ChildProcess; url: string; pid: number }> {
  const program = `
    import { startEmbeddedPostgres } from ${JSON.stringify(join(import.meta.dirname, "embedded-postgres.ts"))};
    const log = { info() {}, warn() {}, error() {} };
    const postgres = await startEmbeddedPostgres({ folder: ${JSON.stringify(folder)}, database: "berth", log });
    console.log(JSON.stringify({ url: postgres.url, pid: postgres.pid }));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(child.stdout, "data");
  return { child, ...JSON.parse(String(line)) };
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "close");
}

test("it starts in a folder that its own user cannot reach, keeps its data, and stops without a trace", async (t) => {
  const folder = await privateFolder(t);
  const first = await start(folder);
  await query(first.url, "CREATE TABLE kept AS SELECT 'here' AS value");
  assert.equal(statSync(join(folder, "password")).mode & 0o777, 0o600);
  await first[Symbol.asyncDispose]();
  assert.equal(processStart(first.pid), null);
  await assert.rejects(query(first.url, "SELECT 1"));

  const startedAt = performance.now();
  const second = await start(folder);
  const tookMs = performance.now() - startedAt;
  assert.deepEqual(await query(second.url, "SELECT value FROM kept"), [{ value: "here" }]);
  assert.equal(second.url, first.url, "the address is kept");
  await second[Symbol.asyncDispose]();
  t.diagnostic(`an initialised folder is up in ${tookMs.toFixed(0)} ms`);
});

test("when its server is killed it lives on, and the next server adopts it with its connections", async (t) => {
  const folder = await privateFolder(t);
  const { child, url, pid } = await startInChild(folder);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  t.after(() => client.end());
  await kill(child);
  assert.deepEqual((await client.query("SELECT 1 AS alive")).rows, [{ alive: 1 }]);

  const adopting = await start(folder);
  assert.equal(adopting.pid, pid);
  assert.equal(adopting.url, url);
  assert.deepEqual((await client.query("SELECT 2 AS alive")).rows, [{ alive: 2 }]);
  await client.end();
  await adopting[Symbol.asyncDispose]();
  assert.equal(processStart(pid), null);
});

test("killed while its server runs, it is started again at the same address with everything committed", async (t) => {
  const folder = await privateFolder(t);
  const postgres = await start(folder);
  await query(postgres.url, "CREATE TABLE kept AS SELECT 1 AS value");
  for (let round = 0; round < 3; round++) {
    const { pid } = postgres;
    process.kill(pid, "SIGKILL");
    await eventually(async () => {
      assert.notEqual(postgres.pid, pid);
      assert.deepEqual(await query(postgres.url, "SELECT value FROM kept"), [{ value: 1 }]);
    });
  }
  await postgres[Symbol.asyncDispose]();
});

test("an adopted one that dies is started again too", async (t) => {
  const folder = await privateFolder(t);
  const { child, pid } = await startInChild(folder);
  await kill(child);
  const postgres = await start(folder);
  process.kill(pid, "SIGKILL");
  await eventually(async () => {
    assert.notEqual(postgres.pid, pid);
    await query(postgres.url, "SELECT 1");
  });
  await postgres[Symbol.asyncDispose]();
});

test("killed together with its server, it comes back with everything committed", async (t) => {
  const folder = await privateFolder(t);
  const { child, url, pid } = await startInChild(folder);
  await query(url, "CREATE TABLE kept AS SELECT 1 AS value");
  process.kill(pid, "SIGKILL");
  await kill(child);
  // The child may have restarted it before it was killed itself; either way the data is there.
  const postgres = await start(folder);
  assert.deepEqual(await query(postgres.url, "SELECT value FROM kept"), [{ value: 1 }]);
  await postgres[Symbol.asyncDispose]();
});

test("one that does not answer is stopped and started anew", { timeout: 60_000 }, async (t) => {
  const folder = await privateFolder(t);
  const { child, pid } = await startInChild(folder);
  await kill(child);
  process.kill(pid, "SIGSTOP");
  const starting = start(folder);
  const postgres = await starting;
  assert.notEqual(postgres.pid, pid);
  await query(postgres.url, "SELECT 1");
  await postgres[Symbol.asyncDispose]();
});

test("a process id that now belongs to somebody else does not keep it from starting", async (t) => {
  const folder = await privateFolder(t);
  const first = await start(folder);
  await first[Symbol.asyncDispose]();
  const bystander = spawn("sleep", ["60"], { stdio: "ignore" });
  t.after(() => bystander.kill());
  const file = join(folder, "data/postmaster.pid");
  writeFileSync(file, `${bystander.pid}\n/proc/self/cwd\n1700000000\n5432\n\n127.0.0.1\n  1 1\nready   \n`);
  const { uid, gid } = statSync(join(folder, "data"));
  (await import("node:fs")).chownSync(file, uid, gid);
  const second = await start(folder);
  await query(second.url, "SELECT 1");
  await second[Symbol.asyncDispose]();
  assert.equal(bystander.exitCode ?? bystander.signalCode, null, "the bystander was left alone");
});

test("a folder that a crash left half made is made anew", async (t) => {
  const folder = await privateFolder(t);
  await mkdir(join(folder, "data.new/base"), { recursive: true });
  const postgres = await start(folder);
  await query(postgres.url, "SELECT 1");
  await postgres[Symbol.asyncDispose]();
  assert.equal(existsSync(join(folder, "data.new")), false);
});

test("what a killed server left of a copy of the programs is removed by the next", async (t) => {
  const folder = await privateFolder(t);
  await mkdir(folder, { recursive: true });
  const copy = await mkdtemp(join(tmpdir(), "berth-postgres-"));
  writeFileSync(join(folder, "programs"), copy);
  const postgres = await start(folder);
  await postgres[Symbol.asyncDispose]();
  assert.equal(existsSync(copy), false);
  const innocent = await mkdtemp(join(tmpdir(), "berth-innocent-"));
  t.after(() => rmSync(innocent, { recursive: true, force: true }));
  writeFileSync(join(folder, "programs"), innocent);
  const again = await start(folder);
  await again[Symbol.asyncDispose]();
  assert.deepEqual(await readdir(innocent), [], "a note that names anything else removes nothing");
});

test("the port being taken by another program, it takes another", async (t) => {
  const folder = await privateFolder(t);
  const first = await start(folder);
  await first[Symbol.asyncDispose]();
  const { createServer } = await import("node:net");
  const squatter = createServer().listen({ port: Number(new URL(first.url).port), host: "127.0.0.1" });
  t.after(() => squatter.close());
  await once(squatter, "listening");
  const second = await start(folder);
  assert.notEqual(second.url, first.url);
  await query(second.url, "SELECT 1");
  await second[Symbol.asyncDispose]();
});
