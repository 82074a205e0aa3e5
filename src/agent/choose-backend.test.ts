import assert from "node:assert/strict";
import { test } from "node:test";
import { compile, ENVIRONMENT } from "../pipeline/testing/compile-text.ts";
import type { OpenBackend } from "./agent-context.ts";
import { chooseBackend } from "./choose-backend.ts";

function backend({ limits = true, healthy = true }): OpenBackend {
  return { healthy, capabilities: { limits: { cpu: limits, memory: limits, pids: limits } } } as unknown as OpenBackend;
}

function chosen(resources: string, backends: Record<string, OpenBackend>): string {
  const plan = compile(`name: p\n${ENVIRONMENT}\nsteps: { a: { run: x, resources: ${resources} } }`);
  const choice = chooseBackend({ backend: null, plan }, new Map(Object.entries(backends)), null);
  return choice.ok ? choice.name : choice.fault.code;
}

test("a run that names no backend gets the first healthy one, and with limits the first that can limit", () => {
  const backends = { process: backend({ limits: false }), docker: backend({}) };
  assert.equal(chosen("{ gpu: 1 }", backends), "process");
  assert.equal(chosen("{ cpu: 1 }", backends), "docker");
  assert.equal(chosen("{ memory: 1GiB }", backends), "docker");
  assert.equal(chosen("{ cpu: 1 }", { ...backends, docker: backend({ healthy: false }) }), "process");
  assert.equal(chosen("{}", { docker: backend({ healthy: false }) }), "spec-unsupported");
});
