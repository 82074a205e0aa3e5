import assert from "node:assert/strict";
import { hash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { zstdCompressSync } from "node:zlib";
import { BerthError } from "../protocol/errors.ts";
import { removeTree } from "../std/remove-tree.ts";
import { TAR_END, type TarEntry, tarHeader, tarPadding } from "../std/tar.ts";
import { packSource } from "./pack-source.ts";
import { SourceRefusedError, unpackSource } from "./unpack-source.ts";

let root: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), "berth-source-"));
});
after(() => removeTree(root));

let count = 0;
function newFolder(): string {
  const folder = join(root, `folder-${count++}`);
  mkdirSync(folder);
  return folder;
}

function write(folder: string, files: Readonly<Record<string, string>>): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

test("a folder that is to be left out is no part of the archive, whatever the ignore file says", async () => {
  const folder = join(root, "with-home");
  mkdirSync(join(folder, "home/deep"), { recursive: true });
  writeFileSync(join(folder, "home/deep/key"), "secret");
  writeFileSync(join(folder, ".berthignore"), "!home/\n");
  const packed = await packSource(folder, join(root, "with-home.tar"), { leaveOut: join(folder, "home") });
  assert.equal(packed.entries, 1, "only the ignore file");
});

test("only the paths that are asked for are packed, with the folders they lie in", async () => {
  const folder = write(newFolder(), {
    "deps/requirements.txt": "numpy",
    "deps/notes": "n",
    "data/large": "l",
    "app/a": "1",
  });
  const file = join(root, "some.tar");
  await packSource(folder, file, { paths: ["deps/requirements.txt", "app"] });
  const target = await unpackSource(file, join(root, "some"));
  const unpacked = new Set(readdirSync(target, { recursive: true, encoding: "utf8" }));
  assert.deepEqual(unpacked, new Set(["app", "app/a", "deps", "deps/requirements.txt"]));
});

const pack = (folder: string) => packSource(folder, join(root, `archive-${count++}`));

/** Every path below a folder with its content. */
function listing(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const content = entry.isFile() ? readFileSync(path, "utf8") : entry.isSymbolicLink() ? readlinkSync(path) : "/";
      return `${path.slice(folder.length + 1)} = ${content}`;
    })
    .sort();
}

test("a folder comes out as it went in: files, modes, empty folders, links, long names", async () => {
  const folder = write(newFolder(), {
    "main.py": "print(1)",
    "tools/run.sh": "#!/bin/sh",
    "größe/äöü.txt": "ü",
    [`${"deep/".repeat(30)}file.txt`]: "deep",
    empty: "",
  });
  mkdirSync(join(folder, "nothing-in-it"));
  chmodSync(join(folder, "tools", "run.sh"), 0o700);
  symlinkSync("../main.py", join(folder, "tools", "main"));
  const file = join(root, "whole");
  const packed = await packSource(folder, file);
  assert.equal(packed.digest, hash("sha256", readFileSync(file)));
  assert.equal(packed.size, statSync(file).size);
  const target = await unpackSource(file, join(root, "unpacked", packed.digest));
  assert.deepEqual(listing(target), listing(folder));
  assert.equal(statSync(join(target, "tools", "run.sh")).mode & 0o777, 0o755);
  assert.equal(statSync(join(target, "main.py")).mode & 0o111, 0);
  assert.deepEqual(readdirSync(join(root, "unpacked")), [packed.digest]);
});

test("equal folders have equal digests, whatever their times and the order they were written in", async () => {
  const one = write(newFolder(), { "a/x": "1", "b/y": "2", c: "3" });
  const other = write(newFolder(), { c: "3", "b/y": "2", "a/x": "1" });
  utimesSync(join(other, "c"), 1, 1);
  assert.equal((await pack(one)).digest, (await pack(other)).digest);
  writeFileSync(join(other, "c"), "4");
  assert.notEqual((await pack(one)).digest, (await pack(other)).digest);
});

test("what no run needs, and what .berthignore lists, is left out", async () => {
  const folder = write(newFolder(), {
    ".git/config": "x",
    "web/node_modules/a/index.js": "x",
    "pkg/__pycache__/a.pyc": "x",
    ".venv/bin/python": "x",
    "data/large.csv": "x",
    "data/small.csv": "x",
    "main.py": "x",
    ".berthignore": "*.csv\n!small.csv\n",
  });
  const file = join(root, "ignoring");
  await packSource(folder, file);
  const target = await unpackSource(file, join(root, "ignored"));
  const paths = listing(target).map((line) => line.split(" = ")[0]);
  assert.deepEqual(paths, [".berthignore", "data", "data/small.csv", "main.py", "pkg", "web"]);
});

test("a link that leaves the source folder is refused by name, and nothing is left behind", async () => {
  const folder = write(newFolder(), { "main.py": "x" });
  symlinkSync("/etc/passwd", join(folder, "secrets"));
  const file = join(root, "leaving");
  await assert.rejects(packSource(folder, file), (error: BerthError) => /"secrets"/.test(error.message));
  assert.equal(existsSync(file), false);
});

test("a source folder over a limit is refused with the way out", async () => {
  const folder = write(newFolder(), { a: "12345", b: "67890" });
  const limits = { unpackedBytesMax: 9, packedBytesMax: 1_000, entriesMax: 10 };
  await assert.rejects(packSource(folder, join(root, "large"), { limits }), (error) => {
    assert.ok(error instanceof BerthError);
    assert.equal(error.code, "payload_too_large");
    assert.match(error.advice!, /\.berthignore/);
    return true;
  });
  const many = { unpackedBytesMax: 100, packedBytesMax: 1_000, entriesMax: 1 };
  await assert.rejects(packSource(folder, join(root, "large"), { limits: many }), /more than 1 files/);
  const packed = { unpackedBytesMax: 100, packedBytesMax: 10, entriesMax: 10 };
  await assert.rejects(packSource(folder, join(root, "large"), { limits: packed }), /packed source is larger/);
});

test("a source folder that does not exist, or is a file, is said to be so", async () => {
  await assert.rejects(pack(join(root, "nowhere")), /does not exist/);
  writeFileSync(join(root, "file"), "");
  await assert.rejects(pack(join(root, "file")), /is no folder/);
});

test("two that unpack the same archive at once get the same whole folder", async () => {
  const file = join(root, "twice");
  await packSource(write(newFolder(), { a: "1", "b/c": "2" }), file);
  const target = join(root, "shared", "folder");
  const targets = await Promise.all([
    unpackSource(file, target),
    unpackSource(file, target),
    unpackSource(file, target),
  ]);
  assert.deepEqual(new Set(targets), new Set([target]));
  assert.deepEqual(readdirSync(join(root, "shared")), ["folder"]);
  assert.deepEqual(listing(target), ["a = 1", "b = /", "b/c = 2"]);
});

// Archives made to do harm. Each is unpacked beside canaries; nothing but the target may change.

interface Crafted {
  readonly name: string;
  readonly bytes: Buffer;
}

function tarOf(entries: readonly (TarEntry | { readonly raw: Buffer })[], body = "evil"): Buffer {
  const parts = entries.flatMap((entry) => {
    if ("raw" in entry) return [entry.raw];
    const content = entry.kind === "file" ? Buffer.from(body.slice(0, entry.size)) : Buffer.alloc(0);
    return [tarHeader(entry), content, tarPadding(content.length)];
  });
  return Buffer.concat([...parts, TAR_END]);
}

const file = (path: string): TarEntry => ({ kind: "file", path, executable: false, size: 4 });
const folder = (path: string): TarEntry => ({ kind: "folder", path });
const link = (path: string, target: string): TarEntry => ({ kind: "link", path, target });

/** A header whose type or fields the writer would never make; the checksum is right. */
function rawHeader(path: string, change: (block: Buffer) => void): Buffer {
  const block = Buffer.from(tarHeader(file(path)));
  change(block);
  block.write(" ".repeat(8), 148);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

function crafted(canary: string): Crafted[] {
  const escapes = [
    "../canary",
    "../../canary",
    "../../../../../../tmp/berth-evil",
    "a/../../canary",
    "a/../canary",
    "./../canary",
    "..",
    ".",
    "",
    "a/..",
    "a/./b",
    "a//b",
    "/etc/berth-evil",
    canary,
    `/${canary}`,
    "..\\canary",
    "a\\..\\..\\canary",
    "C:\\evil",
    "\\\\host\\share",
    "a/b/../../../canary",
    `${"x/".repeat(120)}y`,
    "n".repeat(300),
  ];
  const targets = [
    "/",
    "/etc",
    "/etc/passwd",
    canary,
    "..",
    "../",
    "../canary",
    "../../canary",
    "a/../../canary",
    "./../canary",
    "x/../../canary",
    "",
    "..//canary",
    "../.",
    ".//..//canary",
  ];
  const all: Crafted[] = [];
  const add = (name: string, entries: Parameters<typeof tarOf>[0]) =>
    all.push({ name, bytes: zstdCompressSync(tarOf(entries)) });
  for (const path of escapes) {
    add(`file at ${JSON.stringify(path.slice(0, 30))}`, [file(path)]);
    add(`folder at ${JSON.stringify(path.slice(0, 30))}`, [folder(path)]);
    add(`link at ${JSON.stringify(path.slice(0, 30))}`, [link(path, "x")]);
  }
  for (const target of targets) {
    add(`link to ${JSON.stringify(target)}`, [link("out", target)]);
    add(`link to ${JSON.stringify(target)} and a file through it`, [link("out", target), file("out/evil")]);
    add(`link to ${JSON.stringify(target)} and a file over it`, [link("out", target), file("out")]);
    add(`a file and a link to ${JSON.stringify(target)} over it`, [file("out"), link("out", target)]);
  }
  add("a link through a link", [folder("d"), link("d/up", ".."), link("out", "d/up/.."), file("out/canary")]);
  add("links in a chain", [folder("a/b"), link("a/b/c", "../.."), link("x", "a/b/c/../canary"), file("x")]);
  add("a link that becomes a folder", [link("d", "."), folder("d"), file("d/evil")]);
  add("a folder that becomes a link", [folder("d"), link("d", "."), file("d/evil")]);
  add("the same file twice", [file("a"), file("a")]);
  add("a file below a file", [file("a"), file("a/b")]);
  add("a folder over a file", [file("a"), folder("a")]);
  add("a file over a folder", [folder("a"), file("a")]);
  for (const type of ["1", "3", "4", "6", "7", "g", "L", "K", "S", "V", "M", "D", "N", "X", "A"]) {
    const raw = rawHeader("evil", (block) => {
      block.write(type, 156);
      block.write("../canary", 157);
    });
    add(`an entry of type ${type}`, [{ raw: Buffer.concat([raw, Buffer.alloc(512)]) }]);
  }
  const changes: Record<string, (block: Buffer) => void> = {
    "a name prefix": (block) => block.write("../..", 345),
    "a size in base 256": (block) => block.writeUInt8(0x80, 124),
    "a negative size": (block) => block.write("-0000000004", 124),
    "a size of 8 GiB": (block) => block.write("77777777777", 124),
    "a size of nothing": (block) => block.fill(0, 124, 136),
    "a name that is not UTF-8": (block) => block.fill(0xff, 0, 4),
    "no magic": (block) => block.fill(0, 257, 263),
    "a folder with a content": (block) => block.write("5", 156),
  };
  for (const [name, change] of Object.entries(changes)) add(name, [{ raw: rawHeader("evil", change) }]);
  const pax = (records: string) => ({
    raw: Buffer.concat([
      rawHeader("pax", (block) => {
        block.write("x", 156);
        block.write(records.length.toString(8).padStart(11, "0"), 124);
      }),
      Buffer.from(records),
      tarPadding(records.length),
    ]),
  });
  const record = (text: string) => `${text.length + 4} ${text}\n`.replace(/^\d+/, (n) => n.padStart(2, "0"));
  add("a pax path that leaves", [pax(record("path=../canary")), file("fine")]);
  add("a pax path with a NUL", [pax(record("path=a\0/../../canary")), file("fine")]);
  add("a pax link target that leaves", [pax(record("linkpath=../canary")), link("fine", "fine")]);
  add("a pax size", [pax(record("size=99999999")), file("fine")]);
  add("a pax record that is too long", [pax("99999 path=a\n"), file("fine")]);
  add("a pax record of length zero", [pax("0 path=a\n"), file("fine")]);
  add("a pax header of 20 MB", [pax(record(`path=${"a".repeat(20_000_000)}`)), file("fine")]);
  const bomb = Buffer.concat([rawHeader("bomb", (block) => block.write("00400000000", 124)), Buffer.alloc(64 << 20)]);
  all.push({ name: "a bomb of zeros", bytes: zstdCompressSync(bomb) });
  const headers = Buffer.concat(Array.from({ length: 2_000 }, (_, index) => tarHeader(folder(`f${index}`))));
  all.push({ name: "a bomb of entries", bytes: zstdCompressSync(Buffer.concat([headers, TAR_END])) });
  all.push({ name: "no zstd", bytes: tarOf([file("a")]) });
  all.push({ name: "nothing", bytes: Buffer.alloc(0) });
  all.push({ name: "a flipped bit", bytes: flipped(tarOf([file("a"), file("b")])) });
  all.push({ name: "a cut", bytes: zstdCompressSync(tarOf([file("a"), file("b")])).subarray(0, 40) });
  return all;
}

function flipped(tar: Buffer): Buffer {
  tar[30]! ^= 1;
  return zstdCompressSync(tar);
}

test("no crafted archive writes anything outside, and none is unpacked", async (t) => {
  const arena = newFolder();
  const canary = join(arena, "canary");
  writeFileSync(canary, "untouched");
  mkdirSync(join(arena, "targets"));
  const archives = crafted(canary);
  assert.ok(archives.length >= 100, `${archives.length} archives`);
  const limits = { unpackedBytesMax: 1 << 20, packedBytesMax: 1 << 20, entriesMax: 1_000 };
  for (const [index, { name, bytes }] of archives.entries()) {
    await t.test(name, async () => {
      const archive = join(root, "crafted");
      writeFileSync(archive, bytes);
      await assert.rejects(
        unpackSource(archive, join(arena, "targets", String(index)), { limits }),
        SourceRefusedError,
      );
      assert.deepEqual(listing(arena), ["canary = untouched", "targets = /"]);
    });
  }
  assert.equal(existsSync("/tmp/berth-evil") || existsSync("/etc/berth-evil"), false);
});
