import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { FolderRemover } from "./folder-remover.ts";

const root = mkdtempSync(join(tmpdir(), "berth-remover-"));
after(() => rmSync(root, { recursive: true, force: true }));

test("hundreds of folders are gone when their promises resolve, sealed ones too", async () => {
  const remover = new FolderRemover();
  const folders = Array.from({ length: 300 }, (_, index) => join(root, `-attempt ${index}`));
  for (const folder of folders) {
    mkdirSync(join(folder, "in/deep"), { recursive: true });
    writeFileSync(join(folder, "in/file"), "x");
    chmodSync(join(folder, "in"), 0o555);
  }
  await Promise.all(folders.map((folder) => remover.remove(folder)));
  assert.deepEqual(
    folders.filter((folder) => existsSync(folder)),
    [],
  );
});

test("a folder that is not there is as good as removed", async () => {
  await new FolderRemover().remove(join(root, "never"));
});
