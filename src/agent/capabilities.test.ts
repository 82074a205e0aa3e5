import assert from "node:assert/strict";
import { test } from "node:test";
import { WorkerCapabilities } from "../protocol/agent-api.ts";
import { collectCapabilities, parseGpus } from "./capabilities.ts";

test("what is collected of this machine is what the protocol asks for", async () => {
  const collected = await collectCapabilities({ slots: 2, diskFreeBytes: 5, backends: { process: { shim: "…" } } });
  assert.deepEqual(WorkerCapabilities.parse(collected), collected);
});

test("the answer of NVIDIA's tool is read, and what is no GPU is left out", () => {
  const text = "GPU-1, NVIDIA A100-SXM4-40GB, 40960\nGPU-2, NVIDIA T4, 15360\n\nNo devices were found\n";
  assert.deepEqual(parseGpus(text), [
    { id: "GPU-1", model: "NVIDIA A100-SXM4-40GB", memoryBytes: 40_960 * 1024 * 1024 },
    { id: "GPU-2", model: "NVIDIA T4", memoryBytes: 15_360 * 1024 * 1024 },
  ]);
});
