import assert from "node:assert/strict";
import { test } from "node:test";
import type { Content, ManifestEntry } from "../../protocol/artifacts.ts";
import { HOSTILE_BYTES, hostileManifests } from "../../protocol/testing/hostile-manifests.ts";
import { readManifest } from "./folder-manifest.ts";

const digest = "a".repeat(64);
const file = (path: string): ManifestEntry => ({ kind: "file", path, mode: 0o644, size: 1, digest });
const link = (path: string, target: string): ManifestEntry => ({ kind: "link", path, target });
const folder = (path: string): ManifestEntry => ({ kind: "folder", path, mode: 0o755 });

function read(...entries: ManifestEntry[]): readonly ManifestEntry[] {
  const files = entries.filter(({ kind }) => kind === "file").length;
  const content: Content = { kind: "folder", digest, size: files, fileName: "f", contentType: "x/y", fileCount: files };
  return readManifest(content, Buffer.from(JSON.stringify({ schema: 1, entries })));
}

test("a manifest of files, folders and links inside is read as it is", () => {
  const entries = [folder("a"), file("a/b"), link("a/c", "b"), link("a/d", "../e"), link("dot", "."), file("e")];
  assert.deepEqual(read(...entries), entries);
  assert.deepEqual(read(), []);
});

test("paths that are absolute, not normalised, doubled or outside are refused", () => {
  for (const path of ["", ".", "..", "/a", "a/", "a//b", "./a", "a/../b", "../a", "a/../../b", "a\0b"]) {
    assert.throws(() => read(file(path)), { code: "invalid_request" }, JSON.stringify(path));
  }
  assert.throws(() => read(file("a"), file("a")), /twice/);
});

test("links that leave the folder are refused, and so is whatever lies below a link or a file", () => {
  for (const target of ["", "/etc/passwd", "..", "../..", "b/../../..", "a\0"]) {
    assert.throws(() => read(link("x", target)), { code: "invalid_request" }, JSON.stringify(target));
  }
  assert.throws(() => read(link("d/x", "../../y")), /leaves/);
  assert.throws(() => read(link("a", "b"), file("a/c")), /no folder/);
  assert.throws(() => read(file("a"), file("a/b/c")), /no folder/);
});

test("sums that are not those of the artifact, and bytes that are no manifest, are refused", () => {
  const content: Content = { kind: "folder", digest, size: 2, fileName: "f", contentType: "x/y", fileCount: 1 };
  const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
  assert.throws(
    () => readManifest(content, bytes({ schema: 1, entries: [file("a")] })),
    /adds up to 1 files of 1 bytes/,
  );
  assert.throws(() => readManifest(content, Buffer.from("nope")), /not JSON/);
  assert.throws(() => readManifest(content, bytes({ schema: 2, entries: [] })), /wrong at schema/);
});

test("no manifest that could do harm is committed", () => {
  const hostile = hostileManifests();
  assert.ok(hostile.size >= 100);
  for (const [what, entries] of hostile) {
    const files = entries.filter(({ kind }) => kind === "file").length;
    const size = files * HOSTILE_BYTES.length;
    const content: Content = { kind: "folder", digest, size, fileName: "f", contentType: "x/y", fileCount: files };
    const bytes = Buffer.from(JSON.stringify({ schema: 1, entries }));
    assert.throws(() => readManifest(content, bytes), { code: "invalid_request" }, what);
  }
});
