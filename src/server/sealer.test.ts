import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createSealer, NO_SEALER, ownSealer, sealerOf, sealerOfText } from "./sealer.ts";

test("a sealed secret opens at its own place alone, under its own key, and only as it was", () => {
  const sealer = createSealer(randomBytes(32));
  const sealed = sealer.seal("triggers/a/secret", "hunter2");
  assert.equal(sealer.open("triggers/a/secret", sealed).toString(), "hunter2");
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
    assert.equal(ownSealer(file).open("place", sealed).toString(), "text");
    assert.equal(sealerOf(file).open("place", sealed).toString(), "text");
    assert.throws(() => sealerOf(join(folder, "missing")), /cannot be read/);
    writeFileSync(file, "too short");
    assert.throws(() => ownSealer(file), /does not hold keys of 32 bytes/);
    assert.throws(() => NO_SEALER.seal("place", "text"), /has no key to keep secrets with/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the newest key of a ring seals, the older ones still open", () => {
  const [old, newer] = [randomBytes(32), randomBytes(32)];
  const sealedByOld = createSealer(old).seal("place", "text");
  const ring = sealerOfText(`${old.toString("base64")}\n${newer.toString("hex")}\n`, "BERTH_SECRET_KEYS");
  assert.equal(ring.open("place", sealedByOld).toString(), "text");
  assert.equal(createSealer(newer).open("place", ring.seal("place", "anew")).toString(), "anew");
  assert.throws(() => createSealer(old).open("place", ring.seal("place", "anew")), /sealed under another key/);
  assert.equal(ring.newest, createSealer(newer).newest);
  assert.ok(ring.has(createSealer(old).newest!) && !createSealer(newer).has(createSealer(old).newest!));
  assert.throws(
    () => sealerOfText(`${old.toString("base64")} short`, "BERTH_SECRET_KEYS"),
    /BERTH_SECRET_KEYS does not hold/,
  );
});
