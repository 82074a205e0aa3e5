import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { Agent, createServer, request } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect } from "node:tls";
import { pino } from "pino";
import { EXPIRED, TestAuthority, VALID } from "../../../test/setup/tls-front.ts";
import { fingerprintOf } from "../../std/certificate-fingerprint.ts";
import { certificateFiles } from "./certificate-files.ts";
import { issueLeaf } from "./issue-certificate.ts";
import { namesOfThisMachine, ownAuthority } from "./own-authority.ts";
import { isFor, type KeyPair, ServerTls } from "./server-tls.ts";

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "berth-tls-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

const certificateIn = ({ cert }: KeyPair) => new X509Certificate(cert);

/** Files of a server's certificate, as somebody renews them. */
function filesIn(folder: string) {
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
  const write = (pair: KeyPair) => {
    writeFileSync(files.cert, pair.cert);
    writeFileSync(files.key, pair.key);
  };
  return { files, write };
}

test("a server's own authority and certificate are private, for this machine's names, and the same after a restart", (t) => {
  const folder = join(newFolder(t), "tls");
  const first = ownAuthority({ folder, names: ["berth.lan", "10.1.2.3", "fd00::7"] });
  const pair = first.read();
  for (const file of ["ca.pem", "ca-key.pem", "server.pem", "server-key.pem"]) {
    assert.equal(statSync(join(folder, file)).mode & 0o777, 0o600, file);
  }
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  const leaf = certificateIn(pair);
  const authority = new X509Certificate(readFileSync(join(folder, "ca.pem")));
  assert.ok(leaf.checkIssued(authority) && leaf.verify(authority.publicKey));
  assert.deepEqual([leaf.ca, authority.ca], [false, true]);
  assert.ok(leaf.checkPrivateKey(createPrivateKey(pair.key)));
  for (const name of ["berth.lan", "10.1.2.3", "fd00::7", "127.0.0.1", "localhost", ...namesOfThisMachine()]) {
    assert.ok(isFor(leaf, name), name);
  }
  assert.equal(isFor(leaf, "berth.example.com"), false);
  assert.equal(first.caFingerprint, fingerprintOf(authority));
  const again = ownAuthority({ folder, names: ["berth.lan", "10.1.2.3", "fd00::7"] });
  assert.deepEqual([again.read(), again.caFingerprint], [pair, first.caFingerprint]);
});

test("a certificate is issued anew a month before it expires, for a new name, and when only half of it was written", (t) => {
  const folder = newFolder(t);
  const source = ownAuthority({ folder, names: [] });
  const first = source.read();
  const files = { cert: join(folder, "server.pem"), key: join(folder, "server-key.pem") };

  const authority = new X509Certificate(readFileSync(source.caFile));
  const key = createPrivateKey(readFileSync(join(folder, "ca-key.pem")));
  const inAWeek = { ...VALID, notAfter: new Date(Date.now() + 7 * 86_400_000) };
  const old = issueLeaf(namesOfThisMachine(), inAWeek, { name: authority.subject.slice(3), key });
  writeFileSync(files.cert, old.certificate);
  writeFileSync(files.key, old.key);
  const renewed = source.read();
  assert.notEqual(certificateIn(renewed).serialNumber, certificateIn({ ...first, cert: old.certificate }).serialNumber);
  assert.ok(certificateIn(renewed).validToDate.getTime() > Date.now() + 60 * 86_400_000);
  assert.deepEqual(source.read(), renewed);

  const more = ownAuthority({ folder, names: ["berth.lan"] });
  assert.ok(isFor(certificateIn(more.read()), "berth.lan"));
  assert.equal(more.caFingerprint, source.caFingerprint);

  writeFileSync(files.key, first.key);
  assert.notDeepEqual(more.read().key, first.key);
});

test("an authority whose key is gone or another's is not replaced: workers pinned it", (t) => {
  const folder = newFolder(t);
  const { caFingerprint } = ownAuthority({ folder, names: [] });
  const key = readFileSync(join(folder, "ca-key.pem"));
  writeFileSync(join(folder, "ca-key.pem"), new TestAuthority("another").issue(["x"]).key);
  assert.throws(() => ownAuthority({ folder, names: [] }), {
    message: /is not the key of/,
    advice: /berth agent trust/,
  });
  rmSync(join(folder, "ca-key.pem"));
  assert.throws(() => ownAuthority({ folder, names: [] }), { message: /is missing/, advice: /berth agent trust/ });
  writeFileSync(join(folder, "ca-key.pem"), key);
  assert.equal(ownAuthority({ folder, names: [] }).caFingerprint, caFingerprint);
});

test("files that make no certificate are refused by their name", (t) => {
  const { files, write } = filesIn(newFolder(t));
  const authority = new TestAuthority("an authority");
  const source = certificateFiles(files);
  assert.throws(() => source.read(), { code: "invalid_request", message: /cert\.pem cannot be read/ });
  write(authority.issue(["x"], EXPIRED));
  assert.throws(() => source.read(), { message: /cert\.pem has expired on 20/ });
  write({ ...authority.issue(["x"]), key: authority.issue(["x"]).key });
  assert.throws(() => source.read(), { message: /key\.pem is not the key of the certificate in .*cert\.pem/ });
  write({ cert: "x", key: "y" });
  assert.throws(() => source.read(), { message: /cert\.pem is no certificate in PEM/ });
});

test("files that change are shown to new connections; open ones stay, and a half-written pair changes nothing", async (t) => {
  const { files, write } = filesIn(newFolder(t));
  const authority = new TestAuthority("an authority");
  const [first, second] = [authority.issue(["127.0.0.1"]), authority.issue(["127.0.0.1", "berth.example.com"])];
  write(first);
  const complaints: string[] = [];
  const log = pino({ level: "error" }, { write: (line: string) => complaints.push(line) });
  using tls = new ServerTls(certificateFiles(files), log);
  const server = createServer({ ...tls.keyPair }, (_, response) => response.end("ok"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: authority.certificate });
  t.after(() => agent.destroy());
  const ask = async () => {
    const sent = request({ host: "127.0.0.1", port, agent }).end();
    const [answer] = await once(sent, "response");
    answer.resume();
    await once(answer, "end");
    return sent.socket;
  };
  const shown = async () => {
    const socket = connect({ host: "127.0.0.1", port, ca: authority.certificate });
    await once(socket, "secureConnect");
    const { serialNumber } = socket.getPeerX509Certificate()!;
    socket.destroy();
    return serialNumber;
  };
  const open = await ask();
  assert.equal(await shown(), certificateIn(first).serialNumber);

  writeFileSync(files.cert, second.cert);
  tls.refresh(server);
  tls.refresh(server);
  assert.equal(complaints.length, 1);
  assert.match(complaints[0]!, /is not the key of/);
  assert.equal(tls.keyPair.cert, first.cert);

  writeFileSync(files.key, second.key);
  tls.refresh(server);
  assert.equal(await ask(), open);
  assert.equal(await shown(), certificateIn(second).serialNumber);
  assert.equal(tls.serverName, "berth.example.com");
});
