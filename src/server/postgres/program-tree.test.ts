import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { startEmbeddedPostgres } from "./embedded-postgres.ts";
import { programTree } from "./program-tree.ts";
import { programUser } from "./program-user.ts";
import { installedPrograms } from "./programs.ts";

const SILENT = { info: () => {}, warn: () => {}, error: () => {} };
const AS_ROOT = process.getuid?.() === 0 ? {} : { skip: "PostgreSQL runs as another user only when Berth is root" };

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "berth-programs-"));
  chmodSync(folder, 0o700);
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("programs that the user can reach are used where they are", (t) => {
  const note = join(folderOf(t), "note");
  using tree = programTree(installedPrograms(), null, note);
  assert.equal(tree.bin, join(installedPrograms(), "bin"));
  assert.equal(existsSync(note), false);
});

for (const umask of ["022", "077"]) {
  test(`a checkout below a private folder, made under umask ${umask}, serves another user`, AS_ROOT, (t) => {
    const folder = folderOf(t);
    const installation = join(folder, "native");
    cpSync(installedPrograms(), installation, { recursive: true, verbatimSymlinks: true });
    if (umask === "077") execFileSync("chmod", ["-R", "go-rwx", installation]);
    const user = programUser()!;
    const note = join(folder, "note");
    let copy: string;
    {
      using tree = programTree(installation, user, note);
      copy = join(tree.bin, "..");
      const data = join(folder, "data");
      mkdirSync(data);
      execFileSync("chown", [`${user.uid}:${user.gid}`, data]);
      // initdb runs postgres, and both need the libraries and the shared files of the installation.
      const made = spawnSync(join(tree.bin, "initdb"), ["-D", "/proc/self/cwd", "--no-sync", "--locale=C"], {
        cwd: data,
        uid: user.uid,
        gid: user.gid,
        env: { LC_ALL: "C" },
        stdio: ["ignore", "pipe", "pipe", tree.installation],
        encoding: "utf8",
      });
      assert.equal(made.status, 0, made.stderr);
    }
    assert.equal(existsSync(copy), false);
  });
}

test(
  "a full disk is told as one, leaves nothing half made, and is no problem once there is room",
  AS_ROOT,
  async (t) => {
    const disk = mkdtempSync(join(tmpdir(), "berth-disk-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=16m", "tmpfs", disk]);
    t.after(() => {
      execFileSync("umount", [disk]);
      rmSync(disk, { recursive: true });
    });
    const options = { folder: join(disk, "postgres"), database: "berth", log: SILENT };
    await assert.rejects(startEmbeddedPostgres(options), { code: "storage_full" });
    assert.deepEqual(
      readdirSync(options.folder).filter((name) => name.startsWith("data")),
      [],
    );
    execFileSync("mount", ["-o", "remount,size=300m", disk]);
    const postgres = await startEmbeddedPostgres(options);
    await postgres[Symbol.asyncDispose]();
  },
);
