import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { readCgroup } from "./read-cgroup.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-cgroup-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function lay(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
}

test("version 1 counts CPU time in nanoseconds, and disks one by one", () => {
  lay({
    "cpuacct.usage": "2500000000\n",
    "memory.usage_in_bytes": "4096\n",
    "memory.max_usage_in_bytes": "8192\n",
    "pids.current": "3\n",
    "blkio.throttle.io_service_bytes_recursive":
      "8:0 Read 100\n8:0 Write 7\n8:0 Sync 107\n8:0 Total 107\n8:16 Read 11\n8:16 Write 0\nTotal 118\n",
  });
  assert.deepEqual(readCgroup({ version: 1, cpu: folder, memory: folder, pids: folder, io: folder }), {
    ...{ cpuMs: 2500, memoryBytes: 4096, memoryPeakBytes: 8192 },
    ...{ pids: 2, readBytes: 111, writtenBytes: 7 },
  });
});

test("version 2 counts CPU time in microseconds, and has all in one folder", () => {
  lay({
    "cpu.stat": "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 0\n",
    "memory.current": "4096\n",
    "memory.peak": "8192\n",
    "pids.current": "3\n",
    "io.stat": "8:0 rbytes=100 wbytes=7 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=11 wbytes=0 rios=1 wios=0\n",
  });
  assert.deepEqual(readCgroup({ version: 2, folder }), {
    ...{ cpuMs: 2500, memoryBytes: 4096, memoryPeakBytes: 8192 },
    ...{ pids: 2, readBytes: 111, writtenBytes: 7 },
  });
});

test("what the kernel is too old to tell, or has no controller for, is left out", () => {
  lay({ "cpu.stat": "usage_usec 1000\nuser_usec 600\nsystem_usec 400\n", "memory.current": "1\n" });
  assert.deepEqual(readCgroup({ version: 2, folder }), { cpuMs: 1, memoryBytes: 1 });
});

test("a cgroup that is gone has no figures", () => {
  assert.equal(readCgroup({ version: 2, folder: join(folder, "gone") }), null);
  assert.equal(readCgroup({ version: 1, ...{ cpu: "/x", memory: "/x", pids: "/x", io: "/x" } }), null);
});

/** The hierarchy of version 2 that is mounted here; also beside version 1, then without controllers but with CPU time. */
const unified = /^\S+ \S+ \S+ \/ (\S+) .* - cgroup2 /m.exec(readFileSync("/proc/self/mountinfo", "utf8"))?.[1] ?? null;
const skip =
  unified === null ? "no cgroup of version 2 is mounted" : process.getuid!() === 0 ? false : "only root makes cgroups";

test("the CPU time of a real cgroup of version 2 is that of the processes in it", { skip }, async () => {
  const group = join(unified!, `berth-test-${process.pid}`);
  mkdirSync(group);
  const busy = spawn("sh", ["-c", "read go; while :; do :; done"], { stdio: ["pipe", "ignore", "ignore"] });
  try {
    writeFileSync(join(group, "cgroup.procs"), String(busy.pid));
    busy.stdin.write("go\n");
    const use = () => readCgroup({ version: 2, folder: group });
    for (let tries = 0; (use()?.cpuMs ?? 0) < 100; tries++) {
      assert.ok(tries < 500, `after ten seconds: ${JSON.stringify(use())}`);
      await sleep(20);
    }
  } finally {
    busy.kill("SIGKILL");
    await once(busy, "exit");
    rmdirSync(group);
  }
});
