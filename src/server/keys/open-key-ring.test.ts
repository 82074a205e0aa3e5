import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createSealer } from "../sealer.ts";
import { joinRings, localRing, NO_KEYS } from "./key-ring.ts";
import { ownRing, ringOfFile, ringOfText } from "./open-key-ring.ts";
import { remembering } from "./remembering.ts";

test("a server with its own database makes a private key once; a key file that is none is refused", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "berth-key-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "secret-key");
  const sealed = await ownRing(file).seal("place", "text");
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal((await ownRing(file).open("place", sealed)).toString(), "text");
  assert.equal((await ringOfFile(file).open("place", sealed)).toString(), "text");
  assert.throws(() => ringOfFile(join(folder, "missing")), /cannot be read/);
  writeFileSync(file, "too short");
  assert.throws(() => ownRing(file), /does not hold keys of 32 bytes/);
  await assert.rejects(NO_KEYS.seal("place", "text"), /has no key to keep secrets with/);
});

test("the newest key of a ring seals, the older ones still open", async () => {
  const [old, newer] = [randomBytes(32), randomBytes(32)];
  const only = (key: Buffer) => localRing(createSealer(key));
  const sealedByOld = await only(old).seal("place", "text");
  const text = `${old.toString("base64")}\n${newer.toString("hex")}\n`;
  for (const ring of [ringOfText(text, "BERTH_SECRET_KEYS"), joinRings([only(old), only(newer)])]) {
    assert.equal((await ring.open("place", sealedByOld)).toString(), "text");
    assert.equal((await only(newer).open("place", await ring.seal("place", "anew"))).toString(), "anew");
    await assert.rejects(only(old).open("place", await ring.seal("place", "anew")), { code: "secret_unreadable" });
    assert.equal(ring.newest, only(newer).newest);
    assert.ok(ring.has(only(old).newest!) && !only(newer).has(only(old).newest!));
  }
  const short = `${old.toString("base64")} short`;
  assert.throws(() => ringOfText(short, "BERTH_SECRET_KEYS"), /BERTH_SECRET_KEYS does not hold/);
  for (const word of ["aws-kms:alias/berth", "aws-kms:", "aws-kms:arn:aws:kms:eu-central-1:123456789012:alias/berth"]) {
    assert.throws(() => ringOfText(word, "BERTH_SECRET_KEYS"), /which is no key of AWS KMS/, word);
  }
});

test("what a service opened is asked of it once for a while, and a failure is asked for again", async () => {
  const inner = localRing(createSealer(randomBytes(32)));
  let [asked, isDown] = [0, true];
  const ring = remembering({
    ...inner,
    open: async (place, sealed) => {
      asked += 1;
      if (isDown) throw new Error("down");
      return inner.open(place, sealed);
    },
  });
  const sealed = await ring.seal("place", "text");
  await assert.rejects(ring.open("place", sealed), /down/);
  isDown = false;
  const both = await Promise.all([ring.open("place", sealed), ring.open("place", sealed)]);
  assert.deepEqual(both.map(String), ["text", "text"]);
  isDown = true;
  assert.equal((await ring.open("place", sealed)).toString(), "text");
  assert.equal(asked, 2);
  await assert.rejects(ring.open("another", sealed), /down/);
});
