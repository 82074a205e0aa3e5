import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { AttemptSpec, ExecutionBackend } from "../../backends/execution-backend.ts";
import { MemoryBackend } from "../../backends/memory/memory-backend.ts";
import { AgentFixture, assignmentOf } from "../testing/agent-fixture.ts";
import { readPolicy } from "./worker-policy.ts";

/** The same backend, and what it was asked to run. */
function recording(backend: MemoryBackend, specs: AttemptSpec[]): ExecutionBackend {
  return {
    name: backend.name,
    async open(options) {
      const session = await backend.open(options);
      const submit = session.submit.bind(session);
      session.submit = (ref, spec) => {
        specs.push(spec);
        return submit(ref, spec);
      };
      return session;
    },
  };
}

/** Runs one pipeline on a worker with this policy. */
async function run(policyText: string, steps: string) {
  await using fixture = await AgentFixture.open();
  const limits = { cpu: true, memory: true, pids: true, disk: true };
  const backend = new MemoryBackend({ capabilities: { images: true, limits } });
  const read = readPolicy(policyText, "policy.yaml");
  assert.ok(read.ok);
  const specs: AttemptSpec[] = [];
  await fixture.start(recording(backend, specs), { policy: read.policy });
  const text = `name: p\nenvironment: { image: tool:1 }\nsteps: ${steps}\n`;
  const submitted = fixture.server.submit(assignmentOf(text, {}));
  const state = await submitted.finished.promise;
  return { state, events: submitted.events, images: backend.images, specs };
}

test("a step that the policy refuses fails once, with the line, without an attempt and without its image", async () => {
  const { state, events, images, specs } = await run("images:\n  allow: ['good/**']\n", "{ a: { run: x } }");
  assert.equal(state, "failed");
  const end = events.find((event) => event.type === "run.finished");
  assert.deepEqual([end?.fault?.code, end?.fault?.evidence], ["policy-refused", "policy.yaml:2: allow: ['good/**']"]);
  assert.deepEqual([images.size, specs.length], [0, 0]);
  assert.ok(!events.some(({ type }) => type === "attempt.started"));
});

test("a step that asks for nothing gets the policy's limits, and its mounts are those of the policy", async () => {
  const policy =
    "limits: { cpu: 1.5, memory: 256MiB, pids: 40, time: 90s }\nmounts: { models: { from: /srv/m, to: /models } }\n";
  const { state, specs } = await run(policy, "{ a: { run: x, isolation: { mounts: [models] } } }");
  assert.equal(state, "succeeded");
  assert.deepEqual(specs[0]!.limits, { cpus: 1.5, memoryBytes: 256 * 2 ** 20, pids: 40 });
  assert.deepEqual(specs[0]!.mounts, [{ host: "/srv/m", inside: "/models" }]);
});

test("an image that its scan finds weak runs no step, and the run says which weaknesses", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "berth-scanner-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const program = join(folder, "trivy");
  const finding = { VulnerabilityID: "CVE-2024-9", PkgName: "zlib", InstalledVersion: "1.2", Severity: "CRITICAL" };
  const report = { SchemaVersion: 2, Results: [{ Vulnerabilities: [finding] }] };
  writeFileSync(program, `#!/bin/sh\necho '${JSON.stringify(report)}'\n`);
  chmodSync(program, 0o755);
  const policy = (mode: string) => `images: { scan: { mode: ${mode}, program: ${program} } }\n`;
  const blocked = await run(policy("block"), "{ a: { run: x } }");
  const end = blocked.events.find((event) => event.type === "run.finished");
  assert.deepEqual([blocked.state, end?.fault?.code, blocked.specs.length], ["failed", "image-blocked", 0]);
  assert.match(end?.fault?.evidence ?? "", /critical CVE-2024-9: zlib 1\.2, no fixed version is known/);
  const warned = await run(policy("warn"), "{ a: { run: x } }");
  assert.deepEqual([warned.state, warned.specs.length], ["succeeded", 1]);
});
