import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type TestContext, test } from "node:test";
import { objectStoreContract } from "./contract.ts";
import { openFolderStore } from "./folder-store.ts";
import { resumableWritesContract } from "./resumable-contract.ts";

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "berth-objects-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

objectStoreContract("folder store", async (t) => {
  const folder = await folderOf(t);
  return { open: async () => openFolderStore(folder) };
});

resumableWritesContract("folder store", async (t) => {
  const folder = await folderOf(t);
  return { open: async () => openFolderStore(folder) };
});

test("what a killed writer leaves is invisible, and collected once it has not moved for long enough", async (t) => {
  const folder = await folderOf(t);
  const program = `
    import { openFolderStore } from ${JSON.stringify(join(import.meta.dirname, "folder-store.ts"))};
    async function* endless() {
      for (;;) {
        yield Buffer.alloc(1024 * 1024);
        process.stdout.write("x");
        await new Promise((done) => setTimeout(done, 5));
      }
    }
    await openFolderStore(${JSON.stringify(folder)}).put("p/key", endless());`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  for (let written = 0; written < 3; ) written += (await once(child.stdout, "data"))[0].length;
  child.kill("SIGKILL");
  await once(child, "close");

  const store = openFolderStore(folder);
  assert.equal(await store.stat("p/key"), null);
  assert.equal((await readdir(join(folder, "unfinished"))).length, 1);
  assert.equal(await store.collectUnfinished(3_600_000), 0, "it may still be written");
  assert.equal(await store.collectUnfinished(0), 1);
  assert.deepEqual(await readdir(join(folder, "unfinished")), []);
});

const asRoot = process.getuid?.() === 0 ? {} : { skip: "only root can make a small disk" };

test("a full disk is told as one, leaves nothing behind, and works again once there is room", asRoot, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "berth-disk-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", folder]);
  t.after(async () => {
    execFileSync("umount", [folder]);
    await rm(folder, { recursive: true });
  });
  const store = openFolderStore(folder);
  const megabytes = (count: number) => Readable.from(Array.from({ length: count }, () => Buffer.alloc(1 << 20)));
  await assert.rejects(store.put("p/key", megabytes(8)), (error: Error & { code: string; advice: string }) => {
    assert.equal(error.code, "storage_full");
    assert.match(error.message, new RegExp(`cannot store an object: folder ${folder}: ENOSPC`));
    return /Free space/.test(error.advice);
  });
  assert.deepEqual(await readdir(join(folder, "unfinished")), []);
  assert.equal(await store.put("p/key", megabytes(2)), 2 << 20);
});

test("a folder that cannot be one, or is gone, is told by its name", async (t) => {
  const folder = await folderOf(t);
  await writeFile(join(folder, "file"), "");
  const misconfigured = { code: "store_misconfigured", message: new RegExp(`folder ${folder}`) };
  assert.throws(() => openFolderStore(join(folder, "file")), misconfigured);
  const store = openFolderStore(join(folder, "store"));
  await rm(join(folder, "store"), { recursive: true });
  await assert.rejects(store.check(), misconfigured);
  await assert.rejects(store.put("key", Readable.from([])), misconfigured);
  assert.equal(await store.stat("key"), null);
});

test("a write over several requests names the folder that is gone, and is no fault of the server's own", async (t) => {
  const folder = join(await folderOf(t), "store");
  const { resumable } = openFolderStore(folder);
  const reference = await resumable.begin("p/key", 1);
  const append = { size: 1, offset: 0, bytes: Readable.from([Buffer.from("x")]), onKept: () => {} };
  await resumable.append("p/key", reference, append);
  await rm(join(folder, "objects"), { recursive: true });
  await writeFile(join(folder, "objects"), "");
  const refused = { code: "store_misconfigured", message: new RegExp(folder) };
  await assert.rejects(resumable.finish("p/key", reference), refused);
  await rm(folder, { recursive: true });
  await assert.rejects(resumable.begin("p/key", 1), refused);
});

test("a folder that cannot be made is told, below a file system without folders too", () => {
  assert.throws(() => openFolderStore("/proc/berth"), { code: "store_misconfigured", message: /\/proc\/berth/ });
});
