import assert from "node:assert/strict";
import { test } from "node:test";
import type { EngineInfo } from "./engine-types.ts";
import { type Platform, stepDefaults } from "./platform.ts";

function platform(capacity: Platform["capacity"]): Platform {
  const info = { NCPU: 8, MemTotal: 10_000 } as EngineInfo;
  return { info, capacity } as Platform;
}

test("a step that names no limits may use what the agent has to share out, and never more than the host has", () => {
  assert.deepEqual(stepDefaults(platform(undefined)), { cpus: 8, memoryBytes: 9_000 });
  assert.deepEqual(stepDefaults(platform({ cpus: 2, memoryBytes: 4_000 })), { cpus: 2, memoryBytes: 4_000 });
  assert.deepEqual(stepDefaults(platform({ cpus: 64, memoryBytes: 10_000 })), { cpus: 8, memoryBytes: 9_000 });
});
