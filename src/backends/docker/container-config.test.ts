import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptSpec } from "../execution-backend.ts";
import { specHash } from "../spec-hash.ts";
import { containerConfig, type GpuAccess } from "./container-config.ts";
import { startFault } from "./start-fault.ts";

const SPEC: AttemptSpec = {
  ...{ image: "busybox", argv: ["true"], workingFolder: null, folder: "/f", mounts: [], network: "none", labels: {} },
  env: { NVIDIA_VISIBLE_DEVICES: "all" },
  limits: { cpus: null, memoryBytes: null, pids: 10 },
};

const DEFAULTS = { cpus: 4, memoryBytes: 900 };

function gpusOf(spec: AttemptSpec, gpuAccess: GpuAccess): { devices: unknown; variable: string[] } {
  const options = {
    labels: {},
    shim: "/shim",
    user: "1:1",
    networkMode: "none",
    usernsMode: "",
    defaults: DEFAULTS,
  } as const;
  const { Env, HostConfig } = containerConfig(spec, { ...options, gpuAccess }) as {
    Env: string[];
    HostConfig: { DeviceRequests?: unknown };
  };
  return { devices: HostConfig.DeviceRequests, variable: Env.filter((one) => one.startsWith("NVIDIA_")) };
}

test("a container gets the GPUs of its spec by a device request, and none where there are none, whatever the step sets", () => {
  assert.deepEqual(gpusOf({ ...SPEC, gpus: ["GPU-a", "GPU-b"] }, "devices"), {
    devices: [{ Driver: "", Count: 0, DeviceIDs: ["GPU-a", "GPU-b"], Capabilities: [["gpu"]], Options: {} }],
    variable: ["NVIDIA_VISIBLE_DEVICES=GPU-a,GPU-b"],
  });
  const named = { devices: undefined, variable: ["NVIDIA_VISIBLE_DEVICES=GPU-a"] };
  assert.deepEqual(gpusOf({ ...SPEC, gpus: ["GPU-a"] }, "variables"), named);
  for (const access of ["devices", "variables"] as const) {
    assert.deepEqual(gpusOf(SPEC, access), { devices: undefined, variable: ["NVIDIA_VISIBLE_DEVICES=void"] });
  }
});

test("other GPUs are another spec; no GPUs are the spec that it always was", () => {
  assert.notEqual(specHash({ ...SPEC, gpus: ["a"] }), specHash({ ...SPEC, gpus: ["b"] }));
  assert.notEqual(specHash({ ...SPEC, gpus: ["a"] }), specHash(SPEC));
});

test("an engine without support for GPUs is said to be so", () => {
  const why = startFault('could not select device driver "" with capabilities: [[gpu]]', "busybox");
  assert.deepEqual([why?.code, why?.class], ["spec-unsupported", "configuration"]);
});

test("a step that names no limits has those of the worker, and no swap", () => {
  const options = {
    labels: {},
    shim: "/shim",
    user: "1:1",
    networkMode: "none",
    usernsMode: "",
    defaults: DEFAULTS,
  } as const;
  const { HostConfig } = containerConfig(SPEC, { ...options, gpuAccess: "devices" }) as {
    HostConfig: { Memory: number; MemorySwap: number; NanoCpus: number; Tmpfs: Record<string, string> };
  };
  assert.deepEqual([HostConfig.Memory, HostConfig.MemorySwap, HostConfig.NanoCpus], [900, 900, 4e9]);
  assert.match(HostConfig.Tmpfs["/tmp"]!, /size=450$/);
});
