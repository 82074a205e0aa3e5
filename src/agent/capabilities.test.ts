import assert from "node:assert/strict";
import os from "node:os";
import { test } from "node:test";
import { WorkerCapabilities } from "../protocol/agent-api.ts";
import { collectCapabilities, parseGpus } from "./capabilities.ts";
import { agentConfig } from "./config.ts";

test("what is collected of this machine is what the protocol asks for", async () => {
  const figures = { diskFreeBytes: 5, backends: { process: { shim: "…" } } };
  const collected = await collectCapabilities({ config: agentConfig({}), ...figures });
  assert.deepEqual(WorkerCapabilities.parse(collected), collected);
  assert.deepEqual([collected.cpus, collected.memoryBytes], [os.availableParallelism(), os.totalmem()]);
  const settings = { cpus: 1.5, memoryBytes: 2 ** 30, gpus: ["a", "b"], slots: 7 };
  const named = await collectCapabilities({ config: agentConfig(settings), ...figures });
  assert.deepEqual(WorkerCapabilities.parse(named), named);
  assert.deepEqual(
    { cpus: named.cpus, memoryBytes: named.memoryBytes, gpus: named.gpus.map(({ id }) => id), slots: named.slots },
    settings,
  );
  assert.throws(() => agentConfig({ gpus: ["a", "a"] }), /not valid/);
});

test("the answer of NVIDIA's tool is read, and what is no GPU is left out", () => {
  const text = "GPU-1, NVIDIA A100-SXM4-40GB, 40960\nGPU-2, NVIDIA T4, 15360\n\nNo devices were found\n";
  assert.deepEqual(parseGpus(text), [
    { id: "GPU-1", model: "NVIDIA A100-SXM4-40GB", memoryBytes: 40_960 * 1024 * 1024 },
    { id: "GPU-2", model: "NVIDIA T4", memoryBytes: 15_360 * 1024 * 1024 },
  ]);
});
