import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createSealer, NO_SEALER, ownSealer, sealerOf } from "./sealer.ts";

test("a sealed secret opens at its own place alone, under its own key, and only as it was", () => {
  const sealer = createSealer(randomBytes(32));
  const sealed = sealer.seal("triggers/a/secret", "hunter2");
  assert.equal(sealer.open("triggers/a/secret", sealed), "hunter2");
  assert.ok(!sealed.includes("hunter2"));
  assert.notDeepEqual(sealer.seal("triggers/a/secret", "hunter2"), sealed, "the same secret looks different each time");
  assert.throws(() => sealer.open("triggers/b/secret", sealed), /is not where it belongs/);
  assert.throws(() => createSealer(randomBytes(32)).open("triggers/a/secret", sealed), /sealed under another key/);
  for (let byte = 0; byte < sealed.length; byte++) {
    const changed = Buffer.from(sealed);
    changed[byte]! ^= 1;
    assert.throws(() => sealer.open("triggers/a/secret", changed), /cannot be read/, `byte ${byte}`);
    assert.throws(() => sealer.open("triggers/a/secret", sealed.subarray(0, byte)), /cannot be read/);
  }
});

test("a server with its own database makes a private key once; a key file that is none is refused", () => {
  const folder = mkdtempSync(join(tmpdir(), "berth-key-"));
  try {
    const file = join(folder, "secret-key");
    const sealed = ownSealer(file).seal("place", "text");
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(ownSealer(file).open("place", sealed), "text");
    assert.equal(sealerOf(file).open("place", sealed), "text");
    assert.throws(() => sealerOf(join(folder, "missing")), /cannot be read/);
    writeFileSync(file, "too short");
    assert.throws(() => ownSealer(file), /does not hold a key of 32 bytes/);
    assert.throws(() => NO_SEALER.seal("place", "text"), /has no key to keep secrets with/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
