import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ownSigner, signerOf } from "./signer.ts";

test("a server makes its key once, for its owner alone, and keeps it", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "berth-signer-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "provenance-key");
  const first = ownSigner(file);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(ownSigner(file).keyId, first.keyId);
  assert.equal(signerOf(file).publicKey, first.publicKey);
  assert.match(readFileSync(file, "utf8"), /BEGIN PRIVATE KEY/);
});

test("a file that is no private Ed25519 key is refused without being repeated, and is not replaced", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "berth-signer-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "key");
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const rsa = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey;
  const wrong = [
    "another secret",
    "",
    publicKey.export({ type: "spki", format: "pem" }),
    rsa.export({ type: "pkcs8", format: "pem" }),
  ] as string[];
  for (const text of wrong) {
    writeFileSync(file, text);
    assert.throws(
      () => ownSigner(file),
      (error: Error) => /Ed25519/.test(error.message) && !error.message.includes("secret"),
    );
    assert.equal(readFileSync(file, "utf8"), text);
  }
  writeFileSync(file, privateKey.export({ type: "pkcs8", format: "pem" }));
  assert.equal(signerOf(file).sign(Buffer.from("x")).length, 64);
  assert.throws(() => signerOf(join(folder, "none")), /cannot be read/);
});
