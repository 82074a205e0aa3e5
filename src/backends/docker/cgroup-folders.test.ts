import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { containerCgroup } from "./cgroup-folders.ts";

const ID = "4f".repeat(32);
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "berth-cgroup-"));
});
afterEach(() => rmSync(root, { recursive: true }));

function lay(groups: string, mounts: string): void {
  for (const [path, text] of [
    ["proc/17/cgroup", groups],
    ["proc/self/mountinfo", mounts],
  ] as const) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

const find = () => containerCgroup({ pid: 17, id: ID }, root);
const at = (path: string) => join(root, path);

test("version 1 has a folder for each controller, some of which share one", () => {
  lay(
    `9:pids:/docker/${ID}\n7:blkio:/docker/${ID}\n4:memory:/docker/${ID}\n2:cpu,cpuacct:/docker/${ID}\n0::/docker/${ID}\n`,
    [
      "30 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
      "31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
      "32 25 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
      "33 25 0:29 / /sys/fs/cgroup/my\\040disks rw shared:9 - cgroup cgroup rw,blkio",
      "34 25 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
    ].join("\n"),
  );
  assert.deepEqual(find(), {
    version: 1,
    cpu: at(`sys/fs/cgroup/cpu,cpuacct/docker/${ID}`),
    memory: at(`sys/fs/cgroup/memory/docker/${ID}`),
    pids: at(`sys/fs/cgroup/pids/docker/${ID}`),
    io: at(`sys/fs/cgroup/my disks/docker/${ID}`),
  });
});

test("version 2 has one folder, wherever systemd puts it", () => {
  lay(`0::/system.slice/docker-${ID}.scope\n`, "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n");
  assert.deepEqual(find(), { version: 2, folder: at(`sys/fs/cgroup/system.slice/docker-${ID}.scope`) });
});

test("an agent in a cgroup namespace of its own finds the container where the whole hierarchy is mounted for it", () => {
  const mounts = [
    "29 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
    "30 25 0:26 /../.. /host/cgroup rw - cgroup2 cgroup2 rw",
  ];
  lay(`0::/../../docker/${ID}\n`, mounts.join("\n"));
  assert.deepEqual(find(), { version: 2, folder: at(`host/cgroup/docker/${ID}`) });
});

test("an agent that sees only its own part of the hierarchy finds nothing, rather than somebody else's figures", () => {
  lay(`0::/../${ID}\n`, "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  assert.equal(find(), null);
  lay(`0::/docker/${ID}\n`, "30 25 0:26 /docker/other /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  assert.equal(find(), null);
});

test("a process that is not the container's, because the engine counts pids elsewhere, is not taken for it", () => {
  lay("0::/user.slice/somebody\n", "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  assert.equal(find(), null);
});

test("a container whose process is gone has no cgroup", () => {
  assert.equal(find(), null);
});
