import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { removeTree } from "./remove-tree.ts";

test("what is not there is removed already", async () => {
  await removeTree(join(tmpdir(), "berth-never-made"));
});

test("links are removed, never followed", async () => {
  const root = mkdtempSync(join(tmpdir(), "berth-remove-"));
  mkdirSync(join(root, "kept"));
  writeFileSync(join(root, "kept", "file"), "");
  mkdirSync(join(root, "tree"));
  symlinkSync(join(root, "kept"), join(root, "tree", "link"));
  await removeTree(join(root, "tree"));
  assert.equal(existsSync(join(root, "tree")), false);
  assert.ok(existsSync(join(root, "kept", "file")));
  await removeTree(root);
});

test("a tree of more entries than the quick way takes is removed", async () => {
  const root = mkdtempSync(join(tmpdir(), "berth-remove-"));
  for (let index = 0; index < 300; index++) {
    mkdirSync(join(root, String(index)));
    writeFileSync(join(root, String(index), "file"), "");
  }
  await removeTree(root);
  assert.equal(existsSync(root), false);
});

test("a tree deeper than any path can name is removed", async () => {
  const root = mkdtempSync(join(tmpdir(), "berth-remove-"));
  const goDown = "import os\nfor _ in range(40): os.mkdir('d' * 200); os.chdir('d' * 200)";
  execFileSync("python3", ["-c", goDown], { cwd: root });
  await removeTree(root);
  assert.equal(existsSync(root), false);
});

test("a tree with names that are not UTF-8 is removed", async () => {
  const root = mkdtempSync(join(tmpdir(), "berth-remove-"));
  mkdirSync(join(root, "folder"));
  for (const folder of [root, join(root, "folder")]) {
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/x`), Buffer.from([0xff])]), "");
  }
  await removeTree(root);
  assert.equal(existsSync(root), false);
});

test("a tree that its owner closed is removed", async () => {
  const root = mkdtempSync(join(tmpdir(), "berth-remove-"));
  mkdirSync(join(root, "a", "b"), { recursive: true });
  writeFileSync(join(root, "a", "b", "file"), "");
  chmodSync(join(root, "a", "b"), 0o000);
  chmodSync(join(root, "a"), 0o555);
  await removeTree(root);
  assert.equal(existsSync(root), false);
});
