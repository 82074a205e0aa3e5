import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pino } from "pino";
import { EXPIRED, TestAuthority, TlsFront } from "../../test/setup/tls-front.ts";
import { newId } from "../protocol/ids.ts";
import { fingerprintOf } from "../std/certificate-fingerprint.ts";
import type { TrustChoice } from "../std/tls-trust.ts";
import { AgentClient } from "./agent-client.ts";
import { changeTrust } from "./change-trust.ts";
import { HeartbeatLoop } from "./heartbeat-loop.ts";
import { HeldRuns } from "./held-runs.ts";
import { loadIdentity } from "./identity.ts";
import { registerAgent } from "./register.ts";
import { FakeServer } from "./testing/fake-server.ts";
import { until } from "./testing/until.ts";

const root = mkdtempSync(join(tmpdir(), "berth-agent-tls-"));
after(() => rmSync(root, { recursive: true }));
const capabilities = {
  ...{ os: "linux", arch: "x64", cpus: 2, memoryBytes: 1, diskFreeBytes: 1, gpus: [], backends: {}, slots: 1 },
};
const HERE = ["localhost", "127.0.0.1"];
const authority = new TestAuthority("Berth CA of a test");
const pin = fingerprintOf(new X509Certificate(authority.certificate));

function newHome(): string {
  return mkdtempSync(join(root, "home-"));
}

function register(server: string, trust: TrustChoice, home = newHome()) {
  const worker = { token: "t", name: "w", type: "local", agentVersion: "1", capabilities } as const;
  return registerAgent({ home, server, trust, ...worker });
}

/** A worker that pinned its server, with a heart that beats. */
async function beating(front: TlsFront) {
  const home = newHome();
  await register(front.url, { caFingerprint: pin }, home);
  const identity = loadIdentity(home)!;
  const bootId = newId("boot");
  const client = new AgentClient({ ...identity, bootId });
  await client.boot({ bootId, agentVersion: "1", apiVersion: 1, capabilities, held: [] });
  const heard: string[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => heard.push(line) });
  const callbacks = { onDraining: () => {}, onFenced: () => assert.fail("it was fenced") };
  const loop = new HeartbeatLoop({ ...identity, bootId, held: new HeldRuns(), intervalMs: 20, ...callbacks, log });
  const beat = {
    ...{ home, client, heard },
    [Symbol.asyncDispose]: async () => {
      await loop[Symbol.asyncDispose]();
      client[Symbol.dispose]();
    },
  };
  return beat;
}

test("a worker registers with a pinned authority, keeps it, and knows its server by nothing else", async () => {
  await using server = await FakeServer.start();
  await using front = await TlsFront.start(server.url, authority.issue(HERE));
  const home = newHome();
  await register(front.url, { caFingerprint: pin.toUpperCase().replace("SHA256:", "sha256:") }, home);
  const { trust } = loadIdentity(home)!;
  assert.match(trust.caFile!, /ca-[0-9a-f]{16}\.pem$/);

  const bootId = newId("boot");
  using client = new AgentClient({ ...loadIdentity(home)!, bootId });
  await client.boot({ bootId, agentVersion: "1", apiVersion: 1, capabilities, held: [] });
  using anybody = new AgentClient({ ...loadIdentity(home)!, trust: {}, bootId });
  await assert.rejects(anybody.heartbeat({ held: [] }), {
    code: "unavailable",
    message: /issued by nobody that is trusted here/,
  });
});

test("a server with another authority is refused before it gets the token", async () => {
  await using server = await FakeServer.start();
  await using front = await TlsFront.start(server.url, new TestAuthority("Berth CA of a test").issue(HERE));
  await assert.rejects(register(front.url, { caFingerprint: pin }), {
    code: "unavailable",
    message: new RegExp(`does not show the certificate ${pin}, but sha256:.*Nothing was sent to it`),
    advice: /something between this machine and the server answers in its place/,
  });
  await assert.rejects(register(front.url, {}), { message: /nobody that is trusted here/, advice: /--ca-fingerprint/ });
  assert.deepEqual(server.requests, []);
  assert.equal(front.received, 0);
});

test("who shows the pinned authority without a certificate by it is refused", async () => {
  await using server = await FakeServer.start();
  const foreign = new TestAuthority("Berth CA of a test").issue(HERE);
  const leaf = foreign.cert.slice(0, foreign.cert.indexOf("-----END CERTIFICATE-----\n") + 26);
  await using front = await TlsFront.start(server.url, { cert: leaf + authority.certificate, key: foreign.key });
  await assert.rejects(register(front.url, { caFingerprint: pin }), { code: "unavailable" });
  assert.deepEqual(server.requests, []);
});

test("a certificate that has expired, or is for another name, is refused with words that say so", async () => {
  await using server = await FakeServer.start();
  await using front = await TlsFront.start(server.url, authority.issue(HERE, EXPIRED));
  await assert.rejects(register(front.url, { caFingerprint: pin }), {
    message: /its certificate has expired/,
    advice: /renew/,
  });
  front.show(authority.issue(["berth.example.com"]));
  await assert.rejects(register(front.url, { caFingerprint: pin }), {
    message: /is for another name: DNS:berth.example.com/,
    advice: /--tls-name/,
  });
  assert.deepEqual(server.requests, []);
});

test("the authority may be given as a file, and the name of the certificate beside it", async () => {
  await using server = await FakeServer.start();
  await using front = await TlsFront.start(server.url, authority.issue(["berth.example.com"]));
  const caFile = join(newHome(), "authority.pem");
  writeFileSync(caFile, authority.certificate);
  await assert.rejects(register(front.url, { caFile }), { message: /is for another name/ });
  await register(front.url, { caFile, serverName: "berth.example.com" });
  writeFileSync(caFile, "nothing\n");
  await assert.rejects(register(front.url, { caFile }), { message: /holds no certificate in PEM/ });
  await assert.rejects(register(server.url, { caFile }), { message: /is an address without TLS/ });
  await assert.rejects(register(front.url, { caFingerprint: "sha256:12" }), { message: /is not the fingerprint/ });
});

test("a certificate that changes under a connected agent costs no heartbeat, and a foreign one stops all of them", async () => {
  await using server = await FakeServer.start();
  await using front = await TlsFront.start(server.url, authority.issue(HERE));
  await using agent = await beating(front);
  const beatsOn = async (what: string) => {
    const before = server.heartbeats.length;
    await until(what, () => server.heartbeats.length >= before + 5);
  };
  await beatsOn("the first heartbeats");
  const connections = front.accepted;
  front.show(authority.issue(HERE));
  await beatsOn("heartbeats on the open connection");
  assert.equal(front.accepted, connections);
  front.cutConnections();
  await beatsOn("heartbeats that trust the new certificate");
  assert.ok(front.accepted > connections);

  const [requests, received] = [server.requests.length, front.received];
  front.show(new TestAuthority("Berth CA of a test").issue(HERE));
  front.cutConnections();
  await until("it says why", () => agent.heard.some((line) => line.includes("nobody that is trusted here")));
  await assert.rejects(agent.client.heartbeat({ held: [] }), { message: /nobody that is trusted here/ });
  assert.equal(front.received, received);
  assert.ok(server.requests.length <= requests + 1);

  front.show(authority.issue(HERE));
  await beatsOn("heartbeats once the server itself answers again");
});

test("a registered worker is told of a new authority, and keeps the old one where that is not the server's", async () => {
  await using server = await FakeServer.start();
  await using front = await TlsFront.start(server.url, authority.issue(HERE));
  const home = newHome();
  await register(front.url, { caFingerprint: pin }, home);
  const before = loadIdentity(home)!.trust;
  const next = new TestAuthority("Berth CA of a test, the next");
  const nextPin = fingerprintOf(new X509Certificate(next.certificate));
  await assert.rejects(changeTrust(home, { caFingerprint: nextPin }), { message: /does not show the certificate/ });
  assert.deepEqual(loadIdentity(home)!.trust, before);
  front.show(next.issue(HERE));
  await changeTrust(home, { caFingerprint: nextPin });
  assert.notDeepEqual(loadIdentity(home)!.trust, before);
});
