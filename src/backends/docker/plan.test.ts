import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptSpec } from "../execution-backend.ts";
import { planForDocker } from "./plan.ts";

const IO = { devices: ["/dev/vda"], noReads: null, noWrites: "it is cgroup version 1" };
const HOST = {
  ...{ cpus: 4, memoryBytes: 8 * 1024 ** 3, runtimes: ["runc", "runsc"], securityOptions: ["name=apparmor"] },
  io: IO,
};
const SPEC: AttemptSpec = {
  image: "busybox",
  argv: ["true"],
  env: {},
  workingFolder: null,
  folder: "/srv/attempt",
  mounts: [],
  network: "run",
  limits: { cpus: null, memoryBytes: null, pids: 64 },
  labels: {},
};

function refused(change: Partial<AttemptSpec>): string[] {
  const result = planForDocker({ ...SPEC, ...change }, HOST);
  return result.ok ? [] : result.unsupported.map(({ path }) => path);
}

test("what Docker can do is planned", () => {
  assert.deepEqual(planForDocker(SPEC, null), { ok: true, warnings: [] });
  assert.deepEqual(refused({ limits: { cpus: 4, memoryBytes: 6 * 1024 ** 2, pids: 1 }, network: "none" }), []);
  assert.deepEqual(refused({ mounts: [{ host: "/src", inside: "/app" }], workingFolder: "/app" }), []);
});

test("everything that cannot be honoured is listed at once, by path", () => {
  const limits = { cpus: 64, memoryBytes: 1024, pids: 0 };
  assert.deepEqual(refused({ image: null, limits, workingFolder: "here" }), [
    "image",
    "workingFolder",
    "limits.cpus",
    "limits.memoryBytes",
    "limits.pids",
  ]);
});

test("a limit of transfers that the kernel cannot keep is refused by name, the other one is not", () => {
  const limits = { ...SPEC.limits, io: { readBytesPerSecond: 1000, writeBytesPerSecond: null } };
  assert.deepEqual(refused({ limits }), []);
  assert.deepEqual(refused({ limits: { ...limits, io: { ...limits.io, writeBytesPerSecond: 5 } } }), [
    "limits.io.write",
  ]);
});

test("more memory than the host has is refused once the host is known", () => {
  const limits = { cpus: null, memoryBytes: 9 * 1024 ** 3, pids: 1 };
  assert.equal(planForDocker({ ...SPEC, limits }, null).ok, true);
  assert.deepEqual(refused({ limits }), ["limits.memoryBytes"]);
});

test("mounts cannot cover Berth's own folders, or what holds them", () => {
  for (const inside of [
    "/",
    "/berth",
    "/berth/",
    "/berth/in",
    "/berth/in/x",
    "/berth/ctl",
    "/.berth",
    "/.berth/shim",
  ]) {
    assert.deepEqual(refused({ mounts: [{ host: "/src", inside }] }), ["mounts[0].inside"], inside);
  }
  for (const inside of ["/berth/sdk", "/berthing", "/app"]) {
    assert.deepEqual(refused({ mounts: [{ host: "/src", inside }] }), [], inside);
  }
});

test("NUL characters and impossible names of variables are refused instead of cut off", () => {
  assert.deepEqual(refused({ env: { "A=B": "x", C: "y\0z" }, argv: ["sh", "a\0b"] }), ["env.A=B", "env.C", "argv[1]"]);
});

test("a profile or runtime that the engine would pass over is refused, and so is one that brings a network of its own", () => {
  assert.deepEqual(refused({ isolation: { apparmor: "strict", readOnlyRoot: true, runtime: "runc" } }), []);
  assert.deepEqual(refused({ isolation: { runtime: "runsc" }, network: "none" }), []);
  assert.deepEqual(refused({ isolation: { runtime: "runsc" } }), ["isolation.runtime"]);
  assert.deepEqual(refused({ isolation: { runtime: "kata" }, network: "none" }), ["isolation.runtime"]);
  assert.deepEqual(refused({ isolation: { selinux: "container_t" } }), ["isolation.selinux"]);
  assert.deepEqual(refused({ isolation: { apparmor: "unconfined" } }), ["isolation.apparmor"]);
});
