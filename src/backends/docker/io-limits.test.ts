import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { testPerlImage } from "../../../test/setup/perl-image.ts";
import type { AttemptSpec } from "../execution-backend.ts";
import { specHash } from "../spec-hash.ts";
import { deviceOf, diskOf } from "./block-devices.ts";
import type { EngineInfo } from "./engine-types.ts";
import { ioLimits, ioSupport, refusedIo } from "./io-limits.ts";
import { startFault } from "./start-fault.ts";
import { DockerRig } from "./testing/docker-rig.ts";

const MiB = 1024 ** 2;
const limits = { cpus: null, memoryBytes: null, pids: 64 };

/** A kernel's account of its disks: `sda` with a partition, and one of LVM. */
function layDisks(t: TestContext): string {
  const sys = mkdtempSync(join(tmpdir(), "berth-sys-"));
  t.after(() => rmSync(sys, { recursive: true }));
  mkdirSync(join(sys, "dev/block"), { recursive: true });
  for (const [number, path, type] of [
    ["8:0", "devices/pci/block/sda", "disk"],
    ["8:1", "devices/pci/block/sda/sda1", "partition"],
    ["254:3", "devices/virtual/block/dm-3", "disk"],
    ["104:0", "devices/pci/block/cciss!c0d0", "disk"],
  ] as const) {
    mkdirSync(join(sys, path), { recursive: true });
    writeFileSync(join(sys, path, "uevent"), `DEVNAME=x\nDEVTYPE=${type}\n`);
    symlinkSync(join(sys, path), join(sys, "dev/block", number));
  }
  return sys;
}

test("a partition is held back by its whole disk, and a disk by itself", (t) => {
  const sys = layDisks(t);
  const found = ["8:0", "8:1", "254:3", "104:0"].map((number) => deviceOf(number, sys));
  assert.deepEqual(found, ["/dev/sda", "/dev/sda", "/dev/dm-3", "/dev/cciss/c0d0"]);
});

test("a folder that is on no disk, such as in memory, cannot be held back, and says so", () => {
  const disk = diskOf("/proc");
  assert.ok("why" in disk && /\/proc lies on no disk/.test(disk.why));
  const info = { DockerRootDir: "/proc", CgroupVersion: "2" } as EngineInfo;
  const { devices, noReads, noWrites } = ioSupport(info, "/proc");
  assert.deepEqual(devices, []);
  assert.ok(noReads !== null && noWrites !== null);
});

test("limits become rates on each disk, and none where nothing is asked", () => {
  const spec = { limits: { ...limits, io: { readBytesPerSecond: 5, writeBytesPerSecond: null } } } as AttemptSpec;
  const disks = ["/dev/a", "/dev/b"];
  assert.deepEqual(ioLimits(spec, disks), {
    BlkioDeviceReadBps: [
      { Path: "/dev/a", Rate: 5 },
      { Path: "/dev/b", Rate: 5 },
    ],
  });
  assert.deepEqual(ioLimits({ limits } as AttemptSpec, disks), {});
  const plain = { ...spec, limits, env: {}, labels: {}, mounts: [] } as unknown as AttemptSpec;
  assert.notEqual(specHash({ ...plain, limits: spec.limits }), specHash(plain));
});

test("an engine that leaves the limit out with a warning has not kept it", () => {
  const warning =
    "Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit discarded.";
  assert.equal(refusedIo([warning]), warning);
  assert.equal(refusedIo(["Your kernel does not support swap limit"]), null);
  assert.equal(refusedIo(null), null);
  assert.equal(startFault(`limits of transfers are not kept: ${warning}`, null)?.code, "spec-unsupported");
});

const here = diskOf("/var/lib/docker");

test("a step reads no faster than its limit", { skip: "why" in here ? here.why : false }, async () => {
  await using rig = await DockerRig.open(await testPerlImage());
  const io = { readBytesPerSecond: 2 * MiB, writeBytesPerSecond: null };
  const read = "dd if=/berth/out/file of=/dev/null bs=256k iflag=direct 2>/dev/null";
  const script = `dd if=/dev/zero of=/berth/out/file bs=1M count=6 conv=fsync 2>/dev/null; s=$(date +%s); ${read} || exit 3; echo $(($(date +%s) - s))`;
  const laid = await rig.run(script, { limits: { ...limits, io } });
  assert.equal(laid.outcome.state, "succeeded", JSON.stringify(laid.outcome));
  assert.ok(Number(await rig.log(laid)) >= 2, `${await rig.log(laid)} s for 6 MiB at 2 MiB/s`);
});

test("where the kernel writes later and in its own name, a limit of writes is refused", async (t) => {
  await using rig = await DockerRig.open(await testPerlImage());
  const { facts } = await rig.session.probe();
  if (facts.cgroup !== "1") return t.skip("the engine has cgroup version 2, which holds all writes back");
  const io = { readBytesPerSecond: null, writeBytesPerSecond: MiB };
  const laid = await rig.lay("true", { limits: { ...limits, io } });
  await assert.rejects(rig.submit(laid), /limits\.io\.write: Docker cannot hold back writes: cgroup version 1/);
});
