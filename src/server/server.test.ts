import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { z } from "zod";
import { testDatabase } from "../../test/setup/database.ts";
import { signWebhook } from "../protocol/webhook-signature.ts";
import { readServerConfig } from "./config.ts";
import { processStart } from "./process-identity.ts";
import { type RunningServer, startServer } from "./server.ts";

const VERSION = "1.2.3";
const Info = z.object({
  version: z.string(),
  installation: z.string(),
  project: z.object({ name: z.string() }),
  token: z.object({ role: z.string() }),
});

const stacks = new WeakMap<TestContext, AsyncDisposableStack>();

/** At the end of the test, the newest first: servers end before their folders go. */
function atEnd(t: TestContext, work: () => unknown): void {
  let stack = stacks.get(t);
  if (stack === undefined) {
    stack = new AsyncDisposableStack();
    stacks.set(t, stack);
    t.after(() => stack?.disposeAsync());
  }
  stack.defer(async () => {
    await work();
  });
}

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "berth-server-"));
  atEnd(t, async () => {
    await stopPostgres(folder);
    await rm(folder, { recursive: true, force: true });
  });
  return folder;
}

/** A failed test must not leave a PostgreSQL behind. */
async function stopPostgres(home: string): Promise<void> {
  const pid = postgresPid(home);
  if (pid === null || processStart(pid) === null) return;
  process.kill(pid, "SIGQUIT");
  while (processStart(pid) !== null) await sleep(20);
}

function postgresPid(home: string): number | null {
  const file = join(home, "postgres/data/postmaster.pid");
  return existsSync(file) ? Number(readFileSync(file, "utf8").split("\n")[0]) : null;
}

function environment(home: string, more: Record<string, string> = {}): Record<string, string> {
  return { BERTH_HOME: home, BERTH_LISTEN: "127.0.0.1:0", BERTH_LOG_LEVEL: "silent", ...more };
}

/** With a database of its own from the tests' cluster, unless it is to run its own. */
async function start(t: TestContext, env: Record<string, string>): Promise<RunningServer> {
  const server = await startServer(readServerConfig(env), { version: VERSION, log: pino({ level: "silent" }) });
  atEnd(t, () => server.close());
  return server;
}

const tokenOf = (home: string) => readFileSync(join(home, "admin-token"), "utf8").trim();

async function getInfo(server: { readonly url: string }, token: string): Promise<z.infer<typeof Info>> {
  return Info.parse(await (await get(server, "/info", token)).json());
}

async function get(server: { readonly url: string }, path: string, token: string | null): Promise<Response> {
  return await fetch(`${server.url}/api/v1${path}`, {
    ...(token === null ? {} : { headers: { authorization: `Bearer ${token}` } }),
  });
}

/** A server in a process of its own, for being killed. */
async function startInChild(env: Record<string, string>): Promise<{ child: ChildProcess; url: string }> {
  const program = `
    import { readServerConfig } from ${JSON.stringify(join(import.meta.dirname, "config.ts"))};
    import { startServer } from ${JSON.stringify(join(import.meta.dirname, "server.ts"))};
    const server = await startServer(readServerConfig(process.env), { version: ${JSON.stringify(VERSION)} });
    console.log(server.url);
    process.once("SIGTERM", () => server.close());`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(child.stdout, "data");
  return { child, url: String(line).trim() };
}

test("the first start makes a private home, a database and an administrator's token; the second keeps them", async (t) => {
  const home = join(await folderOf(t), "home");
  atEnd(t, () => stopPostgres(home));
  const first = await start(t, environment(home));
  assert.equal(statSync(home).mode & 0o777, 0o700);
  for (const file of ["admin-token", "secret-key", "server.json"])
    assert.equal(statSync(join(home, file)).mode & 0o777, 0o600);
  const { url, pid, version } = JSON.parse(readFileSync(join(home, "server.json"), "utf8"));
  assert.deepEqual({ url, pid, version }, { url: first.url, pid: process.pid, version: VERSION });

  const token = tokenOf(home);
  const info = await getInfo(first, token);
  assert.equal(info.version, VERSION);
  assert.equal(info.project.name, "default");
  assert.equal(info.token.role, "admin");
  assert.equal((await get(first, "/info", null)).status, 401);
  assert.equal((await get(first, "/health/ready", null)).status, 200);

  const postgres = postgresPid(home)!;
  await first.close();
  await first.closed;
  assert.equal(existsSync(join(home, "server.json")), false);
  assert.equal(processStart(postgres), null);

  const second = await start(t, environment(home));
  assert.equal(tokenOf(home), token);
  assert.equal((await getInfo(second, token)).installation, info.installation);
  await second.close();
});

test("a second server on the same home is refused and told which one uses it", async (t) => {
  const home = await folderOf(t);
  const { url } = await testDatabase(t);
  const env = environment(home, { DATABASE_URL: url });
  const first = await start(t, env);
  await assert.rejects(start(t, env), (error: Error & { code?: string }) => {
    assert.match(error.message, new RegExp(`Another server uses .*${first.url}`));
    return error.code === "unavailable";
  });
  const other = await startInChild({ ...env, BERTH_HOME: await folderOf(t) });
  other.child.kill("SIGKILL");
  await once(other.child, "close");
  await first.close();
  await (await start(t, env)).close();
});

test("a port in use is a clear error, and nothing stays behind", async (t) => {
  const home = await folderOf(t);
  const squatter = createServer().listen(0, "127.0.0.1");
  await once(squatter, "listening");
  atEnd(t, () => squatter.close());
  const { port } = squatter.address() as { port: number };
  await assert.rejects(start(t, environment(home, { BERTH_LISTEN: `127.0.0.1:${port}` })), {
    code: "unavailable",
    message: `The server cannot listen on 127.0.0.1:${port}: it is in use.`,
  });
  assert.equal(postgresPid(home), null);
  assert.equal(existsSync(join(home, "server.json")), false);
});

test("a database that cannot be reached is named, without its password", async (t) => {
  const home = await folderOf(t);
  const env = environment(home, { DATABASE_URL: "postgres://berth:hunter2@127.0.0.1:1/berth" });
  await assert.rejects(start(t, env), (error: Error & { code?: string }) => {
    assert.match(error.message, /The database berth at 127\.0\.0\.1 cannot be used/);
    assert.doesNotMatch(error.message, /hunter2/);
    return error.code === "unavailable";
  });
});

test("after kill -9 of the server the next one adopts PostgreSQL, takes the home over and knows the same tokens", async (t) => {
  const home = await folderOf(t);
  const { child } = await startInChild(environment(home));
  const postgres = postgresPid(home);
  const token = tokenOf(home);
  child.kill("SIGKILL");
  await once(child, "close");
  assert.notEqual(processStart(postgres!), null);

  const next = await start(t, environment(home));
  assert.equal(postgresPid(home), postgres);
  assert.equal((await get(next, "/info", token)).status, 200);
  await next.close();
});

test("while PostgreSQL is dead requests get 503, and it answers again by itself", async (t) => {
  const home = await folderOf(t);
  const server = await start(t, environment(home));
  const token = tokenOf(home);
  const seen = new Set<number>();
  const postgres = postgresPid(home)!;
  process.kill(postgres, "SIGKILL");
  const deadline = performance.now() + 20_000;
  while (postgresPid(home) === postgres || !seen.has(200)) {
    assert.ok(performance.now() < deadline, `seen only ${[...seen].join()}`);
    const { status } = await get(server, "/info", token);
    // What was answered before the kill took effect does not count.
    if (postgresPid(home) !== postgres || status !== 200) seen.add(status);
    await sleep(10);
  }
  assert.deepEqual(
    [...seen].filter((status) => status !== 200 && status !== 503),
    [],
  );
  await server.close();
});

test("two replicas on one database share tokens, and one goes on when the other is killed", async (t) => {
  const { url } = await testDatabase(t);
  const objects = await folderOf(t);
  const homes = [await folderOf(t), await folderOf(t)] as const;
  const env = (home: string) => environment(home, { DATABASE_URL: url, BERTH_OBJECTS: objects });
  const [first, second] = await Promise.all([startInChild(env(homes[0])), start(t, env(homes[1]))]);
  // One of them made the first token, in its own home.
  const holders = homes.filter((home) => existsSync(join(home, "admin-token")));
  assert.equal(holders.length, 1);
  const token = tokenOf(holders[0]!);
  const both = await Promise.all([first, second].map((each) => getInfo(each, token)));
  assert.deepEqual(both[0], both[1]);

  const bytes = Buffer.alloc(11 * 1024 * 1024, 7);
  const digest = (await import("node:crypto")).createHash("sha256").update(bytes).digest("hex");
  const stored = await fetch(`${first.url}/api/v1/blobs/${digest}`, {
    method: "PUT",
    body: bytes,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/octet-stream" },
  });
  assert.equal(stored.status, 200);
  first.child.kill("SIGKILL");
  await once(first.child, "close");
  const missing = await fetch(`${second.url}/api/v1/blobs/missing`, {
    method: "POST",
    body: JSON.stringify({ digests: [digest] }),
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
  });
  assert.deepEqual(await missing.json(), { missing: [] });
  await second.close();
});

test("a lost admin token is made anew and the lost one is revoked", async (t) => {
  const home = await folderOf(t);
  const first = await start(t, environment(home));
  const lost = tokenOf(home);
  await first.close();
  await rm(join(home, "admin-token"));
  const second = await start(t, environment(home));
  assert.equal((await get(second, "/info", lost)).status, 401);
  assert.equal((await get(second, "/info", tokenOf(home))).status, 200);
  await second.close();
});

test(
  "a full disk under the home is told as one",
  process.getuid?.() === 0 ? {} : { skip: "only root can make a small disk" },
  async (t) => {
    const { execFileSync } = await import("node:child_process");
    const disk = await mkdtemp(join(tmpdir(), "berth-disk-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]);
    atEnd(t, async () => {
      execFileSync("umount", [disk]);
      await rm(disk, { recursive: true });
    });
    execFileSync("sh", ["-c", `cat /dev/zero > ${disk}/filler; true`], { stdio: "ignore" });
    await assert.rejects(start(t, environment(join(disk, "home"))), { code: "storage_full" });
    await rm(join(disk, "filler"));
    assert.deepEqual(
      (await readdir(disk)).filter((name) => name !== "home"),
      [],
    );
  },
);

test("servers that share a database keep no secrets without a key, and share those under the one they are given", async (t) => {
  const { url } = await testDatabase(t);
  const trigger = { name: "push", pipeline: "name: p\nenvironment: { image: x }\nsteps: { a: { run: x } }" };
  const create = async (server: RunningServer, token: string) =>
    fetch(`${server.url}/api/v1/triggers`, {
      ...{ method: "POST", body: JSON.stringify(trigger) },
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    });
  const home = await folderOf(t);
  const without = await start(t, environment(home, { DATABASE_URL: url }));
  const refused = await create(without, tokenOf(home));
  assert.equal(refused.status, 409);
  assert.match(await refused.text(), /no key to keep secrets with.*BERTH_SECRET_KEY_FILE/);
  assert.equal(existsSync(join(home, "secret-key")), false);
  await without.close();

  const keyFile = join(await folderOf(t), "key");
  const missing = environment(home, { DATABASE_URL: url, BERTH_SECRET_KEY_FILE: keyFile });
  await assert.rejects(start(t, missing), /The key file .* cannot be read/);
  writeFileSync(keyFile, `${randomBytes(32).toString("base64")}\n`);
  const servers = [await start(t, missing), await start(t, { ...missing, BERTH_HOME: await folderOf(t) })];
  const made = await create(servers[0]!, tokenOf(home));
  const { path, secret } = (await made.json()) as { path: string; secret: string };
  for (const server of servers) {
    const message = { id: "msg_1", timestamp: Math.floor(Date.now() / 1000) };
    const answer = await fetch(new URL(path, server.url), {
      ...{ method: "POST", body: "{}" },
      headers: {
        "content-type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": String(message.timestamp),
        "webhook-signature": signWebhook(secret, message, Buffer.from("{}")),
      },
    });
    assert.equal(answer.status, 200, await answer.text());
    await server.close();
  }
});

test("a server with another key than the secrets' own refuses to start and changes nothing; with the right one they are there", async (t) => {
  const { url } = await testDatabase(t);
  const home = await folderOf(t);
  const [right, other] = [0, 1].map(() => randomBytes(32).toString("base64"));
  const withKeys = (keys: string) => environment(home, { DATABASE_URL: url, BERTH_SECRET_KEYS: keys });
  const headersOf = () => ({ authorization: `Bearer ${tokenOf(home)}`, "content-type": "application/json" });
  const first = await start(t, withKeys(right!));
  const body = JSON.stringify({ name: "TOKEN", value: "aHVudGVyMg==" });
  const set = await fetch(`${first.url}/api/v1/secrets`, { method: "POST", body, headers: headersOf() });
  assert.equal(set.status, 200, await set.text());
  await first.close();

  await assert.rejects(start(t, withKeys(other!)), { code: "conflict", message: /do not open the secrets/ });
  const second = await start(t, withKeys(`${right} ${other}`));
  const rekeyed = await fetch(`${second.url}/api/v1/secrets/rekey`, {
    ...{ method: "POST", headers: { authorization: `Bearer ${tokenOf(home)}` } },
  });
  assert.equal(((await rekeyed.json()) as { values: number }).values, 1);
  await second.close();
  const third = await start(t, withKeys(other!));
  const list = await fetch(`${third.url}/api/v1/secrets`, { headers: headersOf() });
  assert.equal(((await list.json()) as { items: { name: string }[] }).items[0]?.name, "TOKEN");
});
