import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeControlFolder, readStarted, sayGo } from "./control-folder.ts";
import { readRecord } from "./read-record.ts";
import { shimPath } from "./shim-path.ts";

/** Several looks of a shim that waits. */
const WAITING_MS = 200;
const DEADLINE_MS = 20_000;
const canUnshare = spawnSync("unshare", ["--net", "true"]).status === 0;
const skip = !canUnshare && "needs the right to make a network namespace";

let ctl: string;
const children: ChildProcess[] = [];
before(() => {
  ctl = mkdtempSync(join(tmpdir(), "berth-fence-"));
  makeControlFolder(ctl);
});
after(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(ctl, { recursive: true, force: true });
});

function start(file: string, ...args: string[]): ChildProcess {
  const child = spawn(file, args, { stdio: "ignore" });
  children.push(child);
  return child;
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `still not: ${what}`);
    await sleep(5);
  }
}

test("a step's code waits until the fence of its network stands, and who set it keeps no rights", {
  skip,
}, async () => {
  const namespace = start("unshare", "--net", "sleep", "60");
  const own = readFileSync("/proc/self/net/dev", "utf8");
  await until("the namespace is there", () => readFileSync(`/proc/${namespace.pid}/net/dev`, "utf8") !== own);
  const inside = ["nsenter", `--net=/proc/${namespace.pid}/ns/net`] as const;

  sayGo(ctl);
  start(...inside, shimPath(), "--fenced", ctl, "--", "true");
  await sleep(WAITING_MS);
  assert.equal(readStarted(ctl), null);
  assert.equal(readRecord(ctl), null);

  const holder = start(...inside, shimPath(), "--hold");
  await until("the step has ended", () => readRecord(ctl) !== null);
  assert.equal(readRecord(ctl)?.exit, 0);
  const routes = readFileSync(`/proc/${namespace.pid}/net/route`, "utf8");
  for (const address of ["0000FEA9", "C8646464", "C00000C0"])
    assert.match(routes, new RegExp(`^\\*\\s+${address}`, "m"));
  const status = readFileSync(`/proc/${holder.pid}/status`, "utf8");
  assert.match(status, /^Uid:\s+65534\s+65534\s+65534\s+65534$/m);
  assert.match(status, /^CapEff:\s+0+$/m);
});
