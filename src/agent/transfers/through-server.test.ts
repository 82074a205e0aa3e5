import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openFolderStore } from "../../server/objects/folder-store.ts";
import { oneStore } from "../../server/objects/object-tiers.ts";
import { type TransferWorld, transferWorld } from "../testing/transfer-fixture.ts";
import { until } from "../testing/until.ts";

const MiB = 1024 * 1024;

async function folderWorld(t: TestContext): Promise<TransferWorld & { readonly objects: string }> {
  const objects = mkdtempSync(join(tmpdir(), "berth-objects-"));
  t.after(() => rmSync(objects, { recursive: true, force: true }));
  return { ...(await transferWorld(t, oneStore(openFolderStore(objects)))), objects };
}

const isAppend = ({ method, url }: Pick<IncomingMessage, "method" | "url">) => method === "PUT" && /uploads/.test(url!);
const isRead = ({ method, url }: Pick<IncomingMessage, "method" | "url">) =>
  method === "GET" && /blobs\/[0-9a-f]{64}\?/.test(url!);

test("a large blob goes to the server and back, byte for byte; a small one takes one request", async (t) => {
  const { agent: makeAgent, file, proxy } = await folderWorld(t);
  const agent = await makeAgent();
  const [large, small] = [file(), file(1000)];
  await agent.send(large);
  assert.ok(readFileSync(await agent.fetch(large)).equals(large.bytes));
  proxy.requests.length = 0;
  await agent.send(small);
  assert.deepEqual(
    proxy.requests.map((request) => request.replace(/runs\/[^/]+/, "runs/RUN")),
    [`PUT /api/v1/agent/runs/RUN/blobs/${small.digest}`],
  );
});

test("an upload that is cut goes on at the byte that the server has", async (t) => {
  const { agent: makeAgent, file, proxy } = await folderWorld(t);
  const agent = await makeAgent();
  const blob = file();
  let cuts = 3;
  proxy.fault = (request) => (isAppend(request) && cuts-- > 0 ? { cutRequestAfter: 5 * MiB } : undefined);
  await agent.send(blob);
  // Each cut may lose what was under way between proxy and server, and no more.
  assert.ok(proxy.sentBytes < blob.size + 3 * 2 * MiB, `${proxy.sentBytes} bytes were sent of ${blob.size}`);
  proxy.fault = () => undefined;
  assert.ok(readFileSync(await agent.fetch(blob)).equals(blob.bytes));
});

test("what a process that died had sent is not sent again by the next one", async (t) => {
  const { agent: makeAgent, file, proxy } = await folderWorld(t);
  const agent = await makeAgent();
  const blob = file();
  const dies = new AbortController();
  proxy.fault = (request) => {
    if (!isAppend(request)) return undefined;
    setImmediate(() => request.once("close", () => dies.abort(new Error("it died"))));
    return { cutRequestAfter: 12 * MiB };
  };
  await assert.rejects(agent.send(blob, dies.signal), /it died/);
  proxy.fault = () => undefined;
  const before = proxy.sentBytes;
  await agent.again().send(blob);
  assert.ok(proxy.sentBytes - before < blob.size - 10 * MiB, `${proxy.sentBytes - before} bytes were sent again`);
});

test("an answer that is lost changes nothing: what is asked again is answered by what is there", async (t) => {
  const { agent: makeAgent, file, proxy } = await folderWorld(t);
  const agent = await makeAgent();
  const lost = new Set<string>();
  proxy.fault = ({ method, url }) => {
    const what = `${method} ${url!.replace(/\?.*/, "").replace(/upl_[^/]+/, "UPLOAD")}`;
    if (lost.has(what)) return undefined;
    lost.add(what);
    return { cutAnswerAfter: 0 };
  };
  const blob = file();
  await agent.send(blob);
  assert.ok(lost.size >= 3, [...lost].join());
  assert.ok(readFileSync(await agent.fetch(blob)).equals(blob.bytes));
});

test("bytes that change on the way are noticed, and sent again; a file that is damaged is told at last", async (t) => {
  const { agent: makeAgent, file, proxy, server } = await folderWorld(t);
  const agent = await makeAgent();
  const blob = file();
  let changes = 1;
  proxy.fault = (request) => (isAppend(request) && changes-- > 0 ? { changeRequestAt: 3 * MiB } : undefined);
  await agent.send(blob);
  assert.ok(readFileSync(await agent.fetch(blob)).equals(blob.bytes));
  const damaged = file();
  writeFileSync(damaged.path, Buffer.alloc(damaged.size));
  await assert.rejects(agent.send(damaged), { code: "digest_mismatch" });
  assert.deepEqual(await server.services.blobs.missing(server.project, [damaged.digest]), [damaged.digest]);
});

test("a server that answers 500, or not at all, is asked again", async (t) => {
  const { agent: makeAgent, file, proxy } = await folderWorld(t);
  const agent = await makeAgent();
  const blob = file();
  let refusals = 2;
  proxy.fault = (request) => {
    if (!isAppend(request) || refusals-- <= 0) return undefined;
    return refusals === 1 ? { answer: 502, body: "<html>bad gateway</html>" } : "refuse";
  };
  await agent.send(blob);
  assert.equal(proxy.requests.filter((request) => request.startsWith("PUT")).length, 3);
});

test("a lease that is lost stops the upload at once, with 409 for the reason", async (t) => {
  const { agent: makeAgent, file, server, proxy } = await folderWorld(t);
  const agent = await makeAgent();
  const { pool } = server.services.database;
  proxy.fault = (request) => {
    if (isAppend(request)) void pool.query("UPDATE runs SET epoch = epoch + 1 WHERE id = $1", [agent.lease.run]);
    return isAppend(request) ? { cutRequestAfter: 5 * MiB } : undefined;
  };
  await assert.rejects(agent.send(file()), { code: "stale_epoch" });
  assert.equal((await pool.query("SELECT FROM blobs")).rowCount, 0);
});

test("a download that is cut goes on at the byte where it stopped, also in the next process", async (t) => {
  const { agent: makeAgent, file, proxy, folder } = await folderWorld(t);
  const agent = await makeAgent();
  const blob = file();
  await agent.send(blob);
  proxy.receivedBytes = 0;
  let cuts = 2;
  proxy.fault = (request) => (isRead(request) && cuts-- > 0 ? { cutAnswerAfter: 6 * MiB } : undefined);
  assert.ok(readFileSync(await agent.fetch(blob)).equals(blob.bytes));
  assert.ok(proxy.receivedBytes < blob.size + MiB, `${proxy.receivedBytes} bytes were received of ${blob.size}`);

  const dies = new AbortController();
  proxy.fault = (request) => {
    if (!isRead(request)) return undefined;
    request.socket.once("close", () => setImmediate(() => dies.abort(new Error("it died"))));
    return { cutAnswerAfter: 12 * MiB };
  };
  await assert.rejects(agent.fetch(blob, "other", dies.signal), /it died/);
  assert.deepEqual(readdirSync(join(folder, "other", "blobs")), [], "nothing of it is visible");
  // In the same process it ends a moment later.
  await until("it left what it had", () =>
    readdirSync(join(folder, "other", "incoming")).some((name) => name.includes(".0-")),
  );
  proxy.fault = () => undefined;
  proxy.receivedBytes = 0;
  assert.ok(readFileSync(await agent.again().fetch(blob, "other")).equals(blob.bytes));
  assert.ok(proxy.receivedBytes < blob.size - 2 * MiB, `${proxy.receivedBytes} bytes were received again`);
  assert.deepEqual(readdirSync(join(folder, "other", "incoming")), []);
});

test("other bytes than those of the blob never get its name, and are told in the end", async (t) => {
  const { agent: makeAgent, file, proxy, folder } = await folderWorld(t);
  const agent = await makeAgent();
  const blob = file();
  await agent.send(blob);
  let changes = 1;
  proxy.fault = (request) => (isRead(request) && changes-- > 0 ? { changeAnswerAt: 1_000_000 } : undefined);
  assert.ok(readFileSync(await agent.fetch(blob)).equals(blob.bytes));
  changes = Infinity;
  await assert.rejects(agent.fetch(blob, "other"), { code: "digest_mismatch" });
  assert.deepEqual(readdirSync(join(folder, "other", "incoming")), []);
});
