import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptSpec } from "../execution-backend.ts";
import { planProcess } from "./plan.ts";

const SPEC: AttemptSpec = {
  image: null,
  argv: ["true"],
  env: { A: "b" },
  workingFolder: null,
  folder: "/attempt",
  mounts: [],
  network: "run",
  limits: { cpus: null, memoryBytes: null, pids: 256 },
  labels: {},
};

function refused(change: Partial<AttemptSpec>): string[] {
  const planned = planProcess({ ...SPEC, ...change });
  return planned.ok ? [] : planned.unsupported.map(({ path }) => path);
}

test("a plain command is planned without warnings", () => {
  assert.deepEqual(planProcess(SPEC), { ok: true, warnings: [] });
});

test("every request that a process cannot honour is named, all at once", () => {
  const limits = { cpus: 1, memoryBytes: 1024, pids: 1 };
  const paths = refused({ image: "busybox", network: "none", limits, workingFolder: "relative" });
  assert.deepEqual(paths, ["image", "network", "limits.cpus", "limits.memoryBytes", "workingFolder"]);
});

test("a mount under its own path is what a process sees anyway; under another it is refused", () => {
  const same = { host: "/sdk", inside: "/sdk" };
  assert.deepEqual(refused({ mounts: [same] }), []);
  assert.deepEqual(refused({ mounts: [same, { host: "/sdk", inside: "/berth-sdk" }] }), ["mounts[1]"]);
});

test("NUL bytes and names that are no variable names are refused before the system does", () => {
  assert.deepEqual(refused({ argv: ["true", "a\0b"] }), ["argv[1]"]);
  assert.deepEqual(refused({ env: { A: "a\0b" } }), ["env.A"]);
  assert.deepEqual(refused({ env: { "": "x", "A=B": "x" } }), ["env", "env"]);
});

test("one argument or variable may have 131,071 bytes, counted as UTF-8, and no more", () => {
  assert.deepEqual(refused({ argv: ["true", "x".repeat(131_071)] }), []);
  assert.deepEqual(refused({ argv: ["true", "x".repeat(131_072)] }), ["argv[1]"]);
  assert.deepEqual(refused({ argv: ["true", "é".repeat(65_536)] }), ["argv[1]"]);
  assert.deepEqual(refused({ env: { A: "x".repeat(131_069) } }), []);
  assert.deepEqual(refused({ env: { A: "x".repeat(131_070) } }), ["env.A"]);
});
