import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pino } from "pino";
import { BerthError } from "../protocol/errors.ts";
import { newId } from "../protocol/ids.ts";
import { AgentClient } from "./agent-client.ts";
import { HeartbeatLoop } from "./heartbeat-loop.ts";
import { type HeldRun, HeldRuns } from "./held-runs.ts";
import { loadIdentity } from "./identity.ts";
import { registerAgent } from "./register.ts";
import { FakeServer } from "./testing/fake-server.ts";
import { until } from "./testing/until.ts";

const root = mkdtempSync(join(tmpdir(), "berth-heartbeat-"));
after(() => rmSync(root, { recursive: true }));
const log = pino({ level: "silent" });
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

async function beating() {
  const server = await FakeServer.start();
  const home = mkdtempSync(join(root, "home-"));
  await registerAgent({
    home,
    server: server.url,
    token: "t",
    name: "w",
    type: "local",
    agentVersion: "1",
    capabilities,
  });
  const identity = loadIdentity(home)!;
  const bootId = newId("boot");
  using client = new AgentClient({ ...identity, bootId });
  await client.boot({ bootId, agentVersion: "1", apiVersion: 1, capabilities, held: [] });
  const held = new HeldRuns();
  const fenced = Promise.withResolvers<BerthError>();
  const onFenced = (error: BerthError) => fenced.resolve(error);
  const loop = new HeartbeatLoop({ ...identity, bootId, held, intervalMs: 20, onDraining: () => {}, onFenced, log });
  return { server, held, identity, loop, fenced: fenced.promise };
}

function heldRun(): HeldRun & { readonly calls: string[] } {
  const calls: string[] = [];
  const lease = { run: newId("run"), epoch: 1 };
  return { lease, cancelled: false, cancel: () => calls.push("cancel"), fence: () => calls.push("fence"), calls };
}

test("the heart beats on while the main thread is blocked", async (t) => {
  await using server = await FakeServer.start();
  const home = mkdtempSync(join(root, "home-"));
  await registerAgent({
    home,
    server: server.url,
    token: "t",
    name: "w",
    type: "local",
    agentVersion: "1",
    capabilities,
  });
  const child = spawn(process.execPath, [join(import.meta.dirname, "testing/blocked-main.ts"), home], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  await once(child.stdout, "data");
  const before = server.heartbeats.length;
  await until("ten more heartbeats", () => server.heartbeats.length >= before + 10);
});

test("each heartbeat names what is held, and a lease that the server gave up is fenced", async () => {
  const { server, held, loop } = await beating();
  const run = heldRun();
  held.add(run);
  await until("the lease is named", () => server.heartbeats.some((beat) => beat.held[0]?.run === run.lease.run));
  await until("it is fenced", () => run.calls.includes("fence"));
  await loop[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test("when a newer boot speaks for the worker, this process hears that it is fenced", async () => {
  const { server, identity, loop, fenced } = await beating();
  const bootId = newId("boot");
  using newer = new AgentClient({ ...identity, bootId });
  await newer.boot({ bootId, agentVersion: "1", apiVersion: 1, capabilities, held: [] });
  assert.equal((await fenced).code, "stale_boot");
  await loop[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test("a refusal for good reaches the agent whole: its code, its words and its advice", async () => {
  const { server, loop, fenced } = await beating();
  server.interfere = () => new BerthError("unauthenticated", "no such worker", { advice: "register again" });
  const { code, message, advice } = await fenced;
  assert.deepEqual(
    { code, message, advice },
    { code: "unauthenticated", message: "no such worker", advice: "register again" },
  );
  await loop[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});
