import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { createSealer } from "./sealer.ts";

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
