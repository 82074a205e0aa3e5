import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import { makeControlFolder, sayGo } from "./control-folder.ts";
import { LaunchError, type LaunchRequest, ShimLauncher, type ShimProcess } from "./launcher.ts";
import { readRecord } from "./read-record.ts";
import { shimPath } from "./shim-path.ts";

/** The launcher keeps no process alive by itself; a test that waits for it has to. */
let alive: NodeJS.Timeout;
before(() => {
  alive = setInterval(() => {}, 60_000);
});
after(() => clearInterval(alive));

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "berth-launcher-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function request(folder: string, script: string, more: Partial<LaunchRequest> = {}): LaunchRequest {
  const controlFolder = join(folder, "ctl");
  makeControlFolder(controlFolder);
  sayGo(controlFolder);
  return { controlFolder, argv: ["sh", "-c", script], env: { PATH: "/usr/bin:/bin" }, workingFolder: folder, ...more };
}

const ended = (shim: ShimProcess) => new Promise<void>((done) => shim.onEnd(done));
const stdout = (folder: string) => readFileSync(join(folder, "ctl", "stdout"), "utf8");

test("a launched shim runs its command with exactly the arguments, environment and folder asked for", async (t) => {
  const folder = folderOf(t);
  using launcher = new ShimLauncher(shimPath());
  const argv = [
    "sh",
    "-c",
    'pwd; printf "%s|" "$@"; echo; env | sort | grep -v "^\\(PWD\\|SHLVL\\|_\\|OLDPWD\\)="',
    "sh",
    "a b",
    "",
    "é\n",
  ];
  const shim = await launcher.launch(request(folder, "", { argv, env: { PATH: "/usr/bin:/bin", X: "1 ü" } }));
  await ended(shim);
  assert.equal(stdout(folder), `${folder}\na b||é\n|\nPATH=/usr/bin:/bin\nX=1 ü\n`);
  assert.equal(readRecord(join(folder, "ctl"))?.exit, 0);
});

test("many shims launched at once each tell their own end", async (t) => {
  using launcher = new ShimLauncher(shimPath());
  const codes = Array.from({ length: 40 }, (_, index) => index);
  const records = await Promise.all(
    codes.map(async (code) => {
      const folder = folderOf(t);
      await ended(await launcher.launch(request(folder, `exit ${code}`)));
      return readRecord(join(folder, "ctl"))?.exit;
    }),
  );
  assert.deepEqual(records, codes);
});

test("a working folder that is not there is refused by its errno, and nothing was started", async (t) => {
  const folder = folderOf(t);
  using launcher = new ShimLauncher(shimPath());
  const asked = request(folder, "true", { workingFolder: join(folder, "none") });
  await assert.rejects(launcher.launch(asked), (error) => error instanceof LaunchError && error.code === "ENOENT");
  assert.equal(readRecord(join(folder, "ctl")), null);
});

test("arguments larger than the system takes are refused, and the next launch works", async (t) => {
  using launcher = new ShimLauncher(shimPath());
  for (const size of [200_000, 3_000_000, 9_000_000]) {
    const asked = request(folderOf(t), "true", { argv: ["true", "x".repeat(size)] });
    await assert.rejects(launcher.launch(asked), (error) => error instanceof LaunchError && error.code === "E2BIG");
  }
  const many = request(folderOf(t), "true", { argv: ["true", ...Array.from({ length: 70_000 }, () => "x")] });
  await assert.rejects(launcher.launch(many), (error) => error instanceof LaunchError && error.code === "E2BIG");
  await ended(await launcher.launch(request(folderOf(t), "true")));
});

test("what was launched outlives a launcher that is killed, and the next launch starts another", async (t) => {
  const folder = folderOf(t);
  using launcher = new ShimLauncher(shimPath());
  execFileSync("mkfifo", [join(folder, "fifo")]);
  const shim = await launcher.launch(request(folder, "read line < fifo; echo $line; exit 7"));
  process.kill(parentOf(shim.pid), "SIGKILL");
  await ended(shim); // told as "can no longer be told"
  assert.equal(readRecord(join(folder, "ctl")), null);
  await ended(await launcher.launch(request(folderOf(t), "true")));
  execFileSync("sh", ["-c", `echo word > ${join(folder, "fifo")}`]);
  while (readRecord(join(folder, "ctl")) === null) await new Promise((done) => setImmediate(done));
  assert.equal(readRecord(join(folder, "ctl"))?.exit, 7);
  assert.equal(stdout(folder), "word\n");
});

function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}
