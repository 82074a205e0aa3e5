import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { removeTree } from "./remove-tree.ts";
import { readTar, TAR_END, type TarEntry, TarFormatError, tarHeader, tarPadding } from "./tar.ts";

const LONG = `${"ordner/".repeat(20)}ünïcode-${"x".repeat(120)}.txt`;
const ENTRIES: [TarEntry, string][] = [
  [{ kind: "folder", path: "a" }, ""],
  [{ kind: "file", path: "a/b.txt", executable: false, size: 5 }, "hello"],
  [{ kind: "file", path: "a/run.sh", executable: true, size: 512 }, "#".repeat(512)],
  [{ kind: "file", path: "empty", executable: false, size: 0 }, ""],
  [{ kind: "file", path: LONG, executable: false, size: 3 }, "abc"],
  [{ kind: "link", path: "link", target: "a/b.txt" }, ""],
  [{ kind: "link", path: `long-${"l".repeat(120)}`, target: LONG }, ""],
];

function archive(): Buffer {
  const parts = ENTRIES.flatMap(([entry, body]) => [tarHeader(entry), Buffer.from(body), tarPadding(body.length)]);
  return Buffer.concat([...parts, TAR_END]);
}

/** The same bytes in pieces that fall on no boundary. */
async function* pieces(bytes: Buffer, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

for (const length of [7, 512, 100_000]) {
  test(`what is written is read back, in pieces of ${length} bytes`, async () => {
    const read: [TarEntry, string][] = [];
    for await (const { entry, body } of readTar(pieces(archive(), length))) {
      read.push([entry, Buffer.concat(await Array.fromAsync(body)).toString()]);
    }
    assert.deepEqual(read, ENTRIES);
  });
}

test("bodies that nobody reads are skipped", async () => {
  const paths: string[] = [];
  for await (const { entry } of readTar(pieces(archive(), 100))) paths.push(entry.path);
  assert.deepEqual(
    paths,
    ENTRIES.map(([entry]) => entry.path),
  );
});

test("the system's tar unpacks what is written", async () => {
  const root = mkdtempSync(join(tmpdir(), "berth-tar-"));
  try {
    writeFileSync(join(root, "x.tar"), archive());
    execFileSync("tar", ["-xf", "x.tar"], { cwd: root });
    assert.equal(readFileSync(join(root, LONG), "utf8"), "abc");
    assert.equal(statSync(join(root, "a", "run.sh")).mode & 0o777, 0o755);
    assert.equal(readlinkSync(join(root, "link")), "a/b.txt");
  } finally {
    await removeTree(root);
  }
});

test("an archive cut off anywhere is refused", async () => {
  const whole = archive();
  for (let length = 0; length < whole.length - TAR_END.length; length += 300) {
    await assert.rejects(async () => {
      for await (const { body } of readTar(pieces(whole.subarray(0, length), 999))) for await (const _ of body);
    }, TarFormatError);
  }
});
