import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect } from "node:tls";
import { pino } from "pino";
import { testDatabase } from "../../../test/setup/database.ts";
import { TestAuthority } from "../../../test/setup/tls-front.ts";
import { fingerprintOf } from "../../std/certificate-fingerprint.ts";
import { readServerConfig } from "../config.ts";
import { startServer } from "../server.ts";

async function start(t: TestContext, env: Record<string, string>) {
  const home = mkdtempSync(join(tmpdir(), "berth-listening-"));
  const { url: DATABASE_URL } = await testDatabase(t);
  const warnings: string[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => warnings.push(line) });
  const config = readServerConfig({ BERTH_LISTEN: "127.0.0.1:0", BERTH_HOME: home, DATABASE_URL, ...env });
  const server = await startServer(config, { version: "1", log });
  t.after(async () => {
    await server.close();
    rmSync(home, { recursive: true });
  });
  return { server, home, warnings, facts: JSON.parse(readFileSync(join(home, "server.json"), "utf8")) };
}

async function health(url: string, options: { ca: string; servername?: string }) {
  const sent = request(`${url}/api/v1/health`, { agent: false, ...options }).end();
  const [answer] = await once(sent, "response");
  answer.resume();
  return answer;
}

test("a server with an authority of its own speaks TLS 1.2 and 1.3 alone, and tells who is near how to know it", async (t) => {
  const { server, facts, warnings } = await start(t, { BERTH_TLS: "generate", BERTH_LISTEN: "0.0.0.0:0" });
  assert.match(server.url, /^https:\/\/127\.0\.0\.1:\d+$/);
  assert.match(server.workerUrl!, /^https:\/\/[^/]+:\d+$/);
  const ca = readFileSync(facts.tls.caFile, "utf8");
  assert.equal(facts.tls.caFingerprint, fingerprintOf(new X509Certificate(ca)));
  assert.equal(server.caFingerprint, facts.tls.caFingerprint);
  const answer = await health(server.url, { ca });
  assert.equal(answer.statusCode, 200);
  // Browsers that were told so could not reach a machine any more whose authority they do not know.
  assert.equal(answer.headers["strict-transport-security"], undefined);
  assert.deepEqual(warnings, []);

  const port = Number(new URL(server.url).port);
  const ciphers = "ALL:@SECLEVEL=0";
  for (const version of ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const) {
    const only = { minVersion: version, maxVersion: version };
    const socket = connect({ host: "127.0.0.1", port, ca, ciphers, ...only });
    const spoken = await Promise.race([
      once(socket, "secureConnect").then(() => socket.getProtocol()),
      once(socket, "close").then(() => null),
    ]).catch(() => null);
    socket.destroy();
    assert.equal(spoken, version === "TLSv1" || version === "TLSv1.1" ? null : version, version);
  }
});

test("a server with a certificate of its operator's tells browsers to stay with TLS", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "berth-certificate-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const authority = new TestAuthority("an authority");
  const pair = authority.issue(["berth.example.com"]);
  const files = { BERTH_TLS_CERT: join(folder, "cert.pem"), BERTH_TLS_KEY: join(folder, "key.pem") };
  writeFileSync(files.BERTH_TLS_CERT, pair.cert);
  writeFileSync(files.BERTH_TLS_KEY, pair.key);
  const { server, facts } = await start(t, files);
  const answer = await health(server.url, { ca: authority.certificate, servername: "berth.example.com" });
  assert.match(answer.headers["strict-transport-security"], /^max-age=\d{8}$/);
  assert.equal(server.caFingerprint, null);
  const { caFile, serverName } = facts.tls;
  assert.deepEqual({ caFile, serverName }, { caFile: files.BERTH_TLS_CERT, serverName: "berth.example.com" });
});

test("plain HTTP that other machines can listen in on is warned of, and how to end it", async (t) => {
  const { server, warnings } = await start(t, { BERTH_LISTEN: "0.0.0.0:0" });
  assert.match(server.url, /^http:/);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /without TLS.*--tls generate.*--tls-cert/);
});
