import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { z } from "zod";
import { TestAuthority, TlsFront } from "../../../test/setup/tls-front.ts";
import { fingerprintOf } from "../../std/certificate-fingerprint.ts";
import type { TrustChoice } from "../../std/tls-trust.ts";
import { ApiClient } from "../api/client.ts";
import { configuredEndpoint } from "./configured-endpoint.ts";
import { trustOfEndpoint } from "./endpoint-trust.ts";

const HERE = ["127.0.0.1"];
const Answer = z.object({ path: z.string() });

/** A server that answers every request with its path, behind TLS. */
async function secureServer(t: TestContext, authority: TestAuthority) {
  const plain = createServer((request, response) => response.end(JSON.stringify({ path: request.url })));
  plain.listen(0, "127.0.0.1");
  await once(plain, "listening");
  const front = await TlsFront.start(
    `http://127.0.0.1:${(plain.address() as AddressInfo).port}`,
    authority.issue(HERE),
  );
  const home = mkdtempSync(join(tmpdir(), "berth-trust-"));
  t.after(async () => {
    await front[Symbol.asyncDispose]();
    plain.close();
    rmSync(home, { recursive: true });
  });
  const ask = async (trust: TrustChoice) => {
    const configured = { url: front.url, token: "t", trust };
    const endpoint = { ...configured, trust: await trustOfEndpoint(configured, home) };
    return await new ApiClient(() => endpoint).get("/x", Answer);
  };
  return { front, home, ask };
}

test("a command knows its server by a file or a fingerprint, and what it pinned once it does not ask for again", async (t) => {
  const authority = new TestAuthority("an authority");
  const caFingerprint = fingerprintOf(new X509Certificate(authority.certificate));
  const { front, home, ask } = await secureServer(t, authority);
  const caFile = join(home, "authority.pem");
  writeFileSync(caFile, authority.certificate);
  assert.deepEqual(await ask({ caFile }), { path: "/api/v1/x" });
  assert.deepEqual(await ask({ caFingerprint }), { path: "/api/v1/x" });
  const accepted = front.accepted;
  await ask({ caFingerprint });
  assert.equal(front.accepted, accepted + 1);
  await assert.rejects(ask({ caFile, caFingerprint }), /two ways to say the same/);
});

test("a server that shows another certificate gets no token, and the command ends at once with the way out", async (t) => {
  const authority = new TestAuthority("an authority");
  const caFingerprint = fingerprintOf(new X509Certificate(authority.certificate));
  const { front, ask } = await secureServer(t, authority);
  await ask({ caFingerprint });
  const received = front.received;
  front.show(new TestAuthority("an authority").issue(HERE));
  front.cutConnections();
  const refused = { name: "CliError", message: /was not believed: its certificate is issued by nobody/ };
  await assert.rejects(ask({ caFingerprint }), refused);
  await assert.rejects(ask({}), refused);
  const other = fingerprintOf(new X509Certificate(new TestAuthority("third").certificate));
  await assert.rejects(ask({ caFingerprint: other }), /does not show the certificate sha256:/);
  front.show(authority.issue(["berth.example.com"]));
  await assert.rejects(ask({ caFingerprint }), /is for another name: DNS:berth\.example\.com/);
  assert.equal(front.received, received);
});

test("what the system trusts is trusted", async (t) => {
  const authority = new TestAuthority("an authority");
  const { front, home } = await secureServer(t, authority);
  const systemCertificates = join(home, "system.pem");
  writeFileSync(systemCertificates, authority.certificate);
  const program = `
    const { ApiClient } = await import(${JSON.stringify(join(import.meta.dirname, "../api/client.ts"))});
    const api = new ApiClient(() => ({ url: ${JSON.stringify(front.url)}, token: "t" }));
    console.log((await api.get("/x", { parse: (x) => x })).path);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    env: { PATH: process.env.PATH, SSL_CERT_FILE: systemCertificates },
    stdio: ["ignore", "pipe", "inherit"],
  });
  assert.equal(await text(child.stdout), "/api/v1/x\n");
});

test("an option for the certificate wins over variables, and those over config.json, each as a whole", (t) => {
  const home = mkdtempSync(join(tmpdir(), "berth-trust-"));
  t.after(() => rmSync(home, { recursive: true }));
  writeFileSync(
    join(home, "config.json"),
    JSON.stringify({ server: "https://berth.example.com", token: "t", caFingerprint: "sha256:file" }),
  );
  const trustOf = (env: Record<string, string>, choice = {}) =>
    configuredEndpoint({ BERTH_HOME: home, ...env }, choice)!.trust;
  const of = (trust: TrustChoice) => ({ caFile: undefined, caFingerprint: undefined, ...trust });
  assert.deepEqual(trustOf({}), of({ caFingerprint: "sha256:file" }));
  assert.deepEqual(trustOf({ BERTH_CA_FILE: "/ca.pem" }), of({ caFile: "/ca.pem" }));
  assert.deepEqual(trustOf({ BERTH_CA_FILE: "/ca.pem" }, { caFingerprint: "x" }), of({ caFingerprint: "x" }));
});
