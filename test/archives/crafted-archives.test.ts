import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { SourceRefusedError, unpackSource } from "../../src/runtime/unpack-source.ts";
import { removeTree } from "../../src/std/remove-tree.ts";
import { type CraftedEntry, craftEntry, craftPax, craftTar, paxRecord } from "./craft-tar.ts";
import { COLLISIONS, HOSTILE_PATHS, HOSTILE_TARGETS, OUTSIDE } from "./hostile-names.ts";
import { Sandbox } from "./sandbox.ts";

const folder = mkdtempSync(join(tmpdir(), "berth-archives-"));
after(() => removeTree(folder));

/** Small, so that bombs are small too. */
const LIMITS = { unpackedBytesMax: 1024 * 1024, packedBytesMax: 1024 * 1024, entriesMax: 200 };

interface Hostile {
  readonly what: string;
  readonly bytes: Uint8Array;
  /** Where every implementation has to refuse; else it may also be written, inside. */
  readonly mustFail?: boolean;
}

/** Every kind of entry that tar knows, by its flag. */
const KINDS: Readonly<Record<string, string>> = {
  ...{ "0": "file", "\0": "old file", "1": "hard link", "2": "link", "3": "character device", "4": "block device" },
  ...{
    "5": "folder",
    "6": "FIFO",
    "7": "contiguous file",
    A: "Solaris ACL",
    D: "GNU folder dump",
    E: "Solaris ACL file",
  },
  ...{
    I: "inode",
    K: "GNU long link",
    L: "GNU long name",
    M: "GNU continuation",
    N: "GNU old name",
    S: "GNU sparse file",
  },
  ...{ V: "GNU volume", X: "Solaris header", g: "global pax header", "?": "unknown kind" },
};
const TAKEN = new Set(["0", "\0", "2", "5"]);

function* byPath(outside: string): Generator<Hostile> {
  for (const [type, kind] of Object.entries(KINDS)) {
    // What is refused for its kind is refused by any name.
    const paths = Object.entries(HOSTILE_PATHS).slice(0, TAKEN.has(type) ? undefined : 4);
    for (const [what, path] of paths) {
      const name = path.replace(OUTSIDE, outside);
      const entry = { name, type, target: "victim", body: type === "0" ? "x" : "" };
      yield { what: `a ${kind} with ${what}`, bytes: craftTar(craftEntry(entry)), mustFail: !TAKEN.has(type) };
    }
  }
  for (const type of TAKEN) {
    for (const [what, path] of Object.entries(HOSTILE_PATHS)) {
      const name = path.replace(OUTSIDE, outside);
      const bytes = craftTar(craftPax(paxRecord("path", name)), craftEntry({ name: "safe", type, target: "safe2" }));
      yield { what: `a ${KINDS[type]} whose pax path is ${what}`, bytes };
    }
  }
}

/** Each link alone, and then written through in every way. */
function* byLink(outside: string): Generator<Hostile> {
  const through: Readonly<Record<string, CraftedEntry>> = {
    "a file below it": { name: "link/new", body: "x" },
    "a folder below it": { name: "link/new/", type: "5" },
    "a file in its place": { name: "link", body: "x" },
    "a folder in its place": { name: "link/", type: "5" },
    "a link below it": { name: "link/new", type: "2", target: "victim" },
    "a hard link to what it names": { name: "copy", type: "1", target: "link/victim" },
  };
  for (const [what, path] of Object.entries(HOSTILE_TARGETS)) {
    const target = path.replace(OUTSIDE, outside);
    const link = craftEntry({ name: "link", type: "2", target });
    yield { what: `a link to ${what}`, bytes: craftTar(link) };
    const pax = craftPax(paxRecord("linkpath", target));
    yield { what: `a link whose pax target is ${what}`, bytes: craftTar(pax, craftEntry({ name: "link", type: "2" })) };
    for (const [then, entry] of Object.entries(through)) {
      yield { what: `a link to ${what}, then ${then}`, bytes: craftTar(link, craftEntry(entry)), mustFail: true };
      yield { what: `${then}, then a link to ${what}`, bytes: craftTar(craftEntry(entry), link) };
    }
  }
  const chain = [
    craftEntry({ name: "d/e", type: "5" }),
    craftEntry({ name: "up", type: "2", target: "d/e" }),
    craftEntry({ name: "out", type: "2", target: "up/../../.." }),
  ];
  yield { what: "a link that leaves through another", bytes: craftTar(...chain), mustFail: true };
}

function* byCollision(): Generator<Hostile> {
  for (const [first, second] of COLLISIONS) {
    const isSame = first === second;
    for (const pair of ["00", "05", "50", "02", "20", "25", "52", "22"]) {
      const [left, right] = [pair[0]!, pair[1]!];
      const entries = [
        { name: first, type: left, target: "x" },
        { name: second, type: right, target: "x" },
      ];
      const what = `a ${KINDS[left]} ${JSON.stringify(first)} and a ${KINDS[right]} ${JSON.stringify(second)}`;
      yield { what, bytes: craftTar(...entries.map(craftEntry)), mustFail: isSame };
    }
  }
  const below = [craftEntry({ name: "a", body: "x" }), craftEntry({ name: "a/b", body: "x" })];
  yield { what: "a file below a file", bytes: craftTar(...below), mustFail: true };
}

function* byHeader(): Generator<Hostile> {
  const base256 = (first: number) => Buffer.from([first, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
  const fields: Readonly<Record<string, Partial<CraftedEntry>>> = {
    "a wrong checksum": { checksum: "000000\0 " },
    "no checksum": { checksum: "\0\0\0\0\0\0\0\0" },
    "a size below zero": { sizeField: "-0000000001" },
    "a size below zero in base 256": { sizeField: base256(0xff) },
    "a huge size in base 256": { sizeField: base256(0x80) },
    "the largest size": { sizeField: "77777777777" },
    "a size that is no number": { sizeField: "99999999999" },
    "an empty size": { sizeField: Buffer.alloc(12) },
    "a size of blanks": { sizeField: " ".repeat(12) },
    "a size in hexadecimal": { sizeField: "0x000000010" },
    "a size larger than the archive": { sizeField: "00000077777" },
    "a mode that is no number": { mode: "rwxrwxr" },
    "the magic of GNU": { magic: "ustar  \0" },
    "no magic": { magic: "\0\0\0\0\0\0\0\0" },
    "a prefix": { prefix: "../.." },
    "a name that is not UTF-8": { name: Buffer.from([0x61, 0xff, 0xfe]) },
  };
  for (const [what, fieldsOf] of Object.entries(fields)) {
    const bytes = craftTar(craftEntry({ name: "file", body: "x", ...fieldsOf }));
    yield { what: `a header with ${what}`, bytes, mustFail: what !== "the magic of GNU" };
  }
  for (const mode of ["0004755", "0002755", "0001777", "0006777", "0000000", "0000111"]) {
    yield { what: `a file of mode ${mode}`, bytes: craftTar(craftEntry({ name: "file", mode, body: "x" })) };
  }
  for (const type of ["1", "2", "5"]) {
    const bytes = craftTar(craftEntry({ name: "entry", type, target: "x", body: "content" }));
    yield { what: `a ${KINDS[type]} with a content`, bytes, mustFail: true };
  }
}

function* byPax(): Generator<Hostile> {
  const file = craftEntry({ name: "file", body: "x" });
  const records: Readonly<Record<string, string>> = {
    "a length that is too small": "5 path=a\n",
    "a length that is too large": "9999 path=a\n",
    "a length of zero": "0 path=a\n",
    "a length below zero": "-9 path=a\n",
    "no length": "path=a\n",
    "no line break": "8 path=a",
    "a size": paxRecord("size", "-1"),
    "a large size": paxRecord("size", "99999999999999999999"),
    "a sparse map": paxRecord("GNU.sparse.major", "1"),
    "an owner": paxRecord("uid", "0"),
    "another character set": paxRecord("hdrcharset", "BINARY"),
    "a vendor's key": paxRecord("SCHILY.xattr.security.capability", "\u0001"),
    "a NUL in its key": paxRecord("pa\0th", "a"),
  };
  for (const [what, text] of Object.entries(records)) {
    for (const type of ["x", "g"]) {
      const bytes = craftTar(craftPax(text, type), file);
      yield { what: `a pax header (${type}) with ${what}`, bytes, mustFail: true };
    }
  }
  yield {
    what: "two paths in one pax header",
    bytes: craftTar(craftPax(paxRecord("path", "a") + paxRecord("path", "../b")), file),
    mustFail: true,
  };
  yield {
    what: "a pax header of 32 KiB",
    bytes: craftTar(craftPax(paxRecord("path", "p".repeat(32 * 1024))), file),
    mustFail: true,
  };
  yield { what: "a pax header at the end", bytes: craftTar(craftPax(paxRecord("path", "../a"))) };
  const endless = Array.from({ length: 20_000 }, () => craftPax(paxRecord("path", "a")));
  yield { what: "20,000 pax headers", bytes: craftTar(...endless), mustFail: true };
}

function* byStream(): Generator<Hostile> {
  const whole = craftTar(craftEntry({ name: "a", body: "x".repeat(2_000) }), craftEntry({ name: "b", body: "y" }));
  for (let cut = 0; cut < 40; cut++) {
    const length = Math.floor((whole.length * cut) / 40);
    yield { what: `an archive cut off after ${length} bytes`, bytes: whole.subarray(0, length), mustFail: true };
  }
  const tar = Buffer.concat([craftEntry({ name: "a", body: "x".repeat(2_000) }), Buffer.alloc(1024)]);
  for (const length of [1, 511, 512, 513, 1_000, 2_512]) {
    const bytes = zstdCompressSync(tar.subarray(0, length));
    yield { what: `a tar of ${length} bytes in whole compression`, bytes, mustFail: true };
  }
  for (let at = 0; at < whole.length; at += Math.ceil(whole.length / 40)) {
    const bytes = Buffer.from(whole);
    bytes[at]! ^= 0x40;
    yield { what: `an archive with a bit of byte ${at} turned`, bytes };
  }
  yield { what: "gzip in place of zstd", bytes: gzipSync(tar), mustFail: true };
  yield { what: "a zip", bytes: Buffer.from("504b0304140000000800", "hex"), mustFail: true };
  yield { what: "text", bytes: Buffer.from("not an archive"), mustFail: true };
  yield { what: "a tar without compression", bytes: tar, mustFail: true };
  yield { what: "an archive in an archive", bytes: craftTar(craftEntry({ name: "inner.tar.zst", body: whole })) };
  yield { what: "an archive after an archive", bytes: Buffer.concat([whole, whole]) };
  const zeros = Buffer.alloc(64 * 1024 * 1024);
  const bomb = craftEntry({ name: "bomb", body: zeros });
  yield { what: "64 MiB of zeros in some kilobytes", bytes: craftTar(bomb), mustFail: true };
  yield { what: "a bomb within a bomb", bytes: zstdCompressSync(craftTar(bomb)), mustFail: true };
  const empties = Array.from({ length: 1_000 }, (_, index) => craftEntry({ name: `f${index}` }));
  yield { what: "1,000 files where 200 are allowed", bytes: craftTar(...empties), mustFail: true };
  const small = Array.from({ length: 150 }, (_, index) =>
    craftEntry({ name: `f${index}`, body: zeros.subarray(0, 8_000) }),
  );
  yield { what: "files that are too much together", bytes: craftTar(...small), mustFail: true };
}

test("hostile source archives write nothing outside, hang nowhere and take no memory to speak of", async (t) => {
  await using sandbox = new Sandbox();
  const { outside } = sandbox;
  const groups = [byPath(outside), byLink(outside), byCollision(), byHeader(), byPax(), byStream()];
  const archive = join(folder, "archive");
  let [count, refusals] = [0, 0];
  for (const { what, bytes, mustFail } of groups.flatMap((group) => [...group])) {
    writeFileSync(archive, bytes);
    const unpack = (target: string) => unpackSource(archive, target, { limits: LIMITS });
    const refused = await sandbox.judge(what, unpack, (error) => error instanceof SourceRefusedError);
    assert.ok(refused || mustFail !== true, `${what} was not refused`);
    count += 1;
    if (refused) refusals += 1;
  }
  t.diagnostic(`${count} archives, ${refusals} of them refused`);
  assert.ok(count >= 700 && refusals < count, `${refusals} of ${count} refused`);
});
