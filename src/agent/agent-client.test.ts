import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pino } from "pino";
import { BerthError } from "../protocol/errors.ts";
import { newId } from "../protocol/ids.ts";
import { AgentClient } from "./agent-client.ts";
import { connectionPool, sendRequest } from "./http-request.ts";
import { loadIdentity } from "./identity.ts";
import { registerAgent } from "./register.ts";
import { retrying } from "./retry.ts";
import { FakeServer, type FakeServerOptions } from "./testing/fake-server.ts";
import { until } from "./testing/until.ts";

const root = mkdtempSync(join(tmpdir(), "berth-client-"));
after(() => rmSync(root, { recursive: true }));

const capabilities = {
  os: "linux",
  arch: "x64",
  cpus: 2,
  memoryBytes: 1,
  diskFreeBytes: 1,
  gpus: [],
  backends: {},
  slots: 1,
};
const log = pino({ level: "silent" });

async function registered(options: FakeServerOptions = {}) {
  const server = await FakeServer.start(options);
  const home = mkdtempSync(join(root, "home-"));
  const token = "secret";
  await registerAgent({ home, server: server.url, token, name: "w", type: "local", agentVersion: "1", capabilities });
  const identity = loadIdentity(home)!;
  const bootId = newId("boot");
  const client = new AgentClient({ ...identity, bootId });
  const boot = () => client.boot({ bootId, agentVersion: "1", apiVersion: 1, capabilities, held: [] });
  return {
    server,
    home,
    client,
    boot,
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

test("a worker whose clock is an hour off is let in, because it signs with the server's time", async () => {
  await using agent = await registered({ clockSkewMs: 3_600_000 });
  await assert.rejects(agent.boot(), { code: "signature_expired" });
  assert.equal((await agent.boot()).worker.name, "test");
});

test("the private key is readable by its owner alone", async () => {
  await using agent = await registered();
  assert.equal(statSync(join(agent.home, "key")).mode & 0o777, 0o600);
  assert.equal(statSync(join(agent.home, "agent.json")).mode & 0o777, 0o600);
});

test("a home that is registered is not registered again over its identity", async () => {
  await using agent = await registered();
  const again = {
    home: agent.home,
    server: agent.server.url,
    token: "t",
    name: "x",
    type: "local",
    agentVersion: "1",
    capabilities,
  } as const;
  await assert.rejects(registerAgent(again), { code: "conflict" });
});

test("losing the server only waits, and the answer comes once it is back", async () => {
  let outages = 3;
  await using agent = await registered();
  agent.server.interfere = () => (outages-- > 0 ? "drop" : undefined);
  const signal = AbortSignal.timeout(10_000);
  const answer = await retrying({ what: "boot", signal, log }, agent.boot);
  assert.equal(answer.kept.length, 0);
  assert.equal(agent.server.requests.filter((request) => request === "POST /boot").length, 4);
});

test("a refusal is an answer: it is not tried again, and carries the server's advice", async () => {
  await using agent = await registered();
  agent.server.interfere = () => new BerthError("stale_boot", "fenced", { advice: "stop" });
  const signal = AbortSignal.timeout(10_000);
  await assert.rejects(retrying({ what: "boot", signal, log }, agent.boot), { code: "stale_boot", advice: "stop" });
  assert.equal(agent.server.requests.filter((request) => request === "POST /boot").length, 1);
});

test("a connection that goes silent is given up at the idle deadline", async () => {
  const silent = net.createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const url = new URL(`http://127.0.0.1:${(silent.address() as net.AddressInfo).port}/`);
  const pool = connectionPool(url);
  const deadlines = { connectMs: 1_000, idleMs: 100, totalMs: 5_000 };
  await assert.rejects(sendRequest(pool, { method: "GET", url, headers: {}, deadlines }), /no byte within 0.1 s/);
  pool.destroy();
  silent.close();
});

test("transfers that go slowly, however many, keep no report waiting", async (t) => {
  let transfers = 0;
  const server = http.createServer((request, response) => {
    if (request.url!.includes("/blobs/")) {
      transfers += 1;
      response.writeHead(200, { "content-length": 1_000_000 }).write("slow");
    } else response.writeHead(200, { "content-type": "application/json" }).end('{"missing":[]}');
    request.resume();
  });
  server.listen(0, "127.0.0.1");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise((resolve) => server.once("listening", resolve));
  const { privateKey } = generateKeyPairSync("ed25519");
  using client = new AgentClient({
    server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ workerId: newId("worker"), bootId: newId("boot"), privateKey },
  });
  const stop = new AbortController();
  const reading = Array.from({ length: 40 }, async () => {
    const body = await client.getBlob("run", 1, "d", 0, stop.signal);
    for await (const _ of body);
  });
  const ended = Promise.allSettled(reading);
  await until("transfers take all the connections they get", () => transfers >= 24);
  await client
    .sendMessages("run", { epoch: 1, progress: [], metrics: [] }, AbortSignal.timeout(5_000))
    .catch((error) => {
      assert.notEqual(error.name, "TimeoutError", "it waited for a transfer");
    });
  stop.abort();
  await ended;
});
