import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { exits, hangs } from "../backends/memory/script.ts";
import { AgentFixture, assignmentOf } from "./testing/agent-fixture.ts";
import type { FakeRun } from "./testing/fake-run.ts";

const ANY = { ok: true, image: "any", digest: null, cached: false } as const;

function endOf(run: FakeRun) {
  const end = run.events.at(-1);
  assert.ok(end?.type === "run.finished");
  return [end.state, end.fault?.code, end.fault?.message];
}

function faultOf(run: FakeRun, stepRun: string) {
  for (const event of run.events) {
    if (event.type === "step.finished" && event.stepRun === stepRun) return event.fault;
  }
  return null;
}

test("a run whose time is up is stopped and has failed; nobody cancelled it", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("a", hangs());
  await fixture.start(backend);
  const text = `
name: slow
timeout: 1h
environment: { image: any }
steps: { a: { run: "true" }, b: { run: "true", needs: [a] } }
`;
  const run = fixture.server.submit(assignmentOf(text, { timeLeftMs: 300 }));
  assert.equal(await run.finished.promise, "failed");
  assert.deepEqual(endOf(run), ["failed", "deadline-total", "The run took longer than its timeout of 3600 s."]);
  assert.equal(run.ends("a")[0]?.state, "cancelled");
  assert.equal(faultOf(run, "b")?.code, "deadline-total");
  assert.deepEqual(fixture.server.violations, []);
});

test("who cancelled a run, and why, is in its end, wherever the agent heard of it", async () => {
  const facts = { by: "ada", reason: "wrong data", code: "cancelled" } as const;
  for (const heardAt of ["assignment", "poll"] as const) {
    await using fixture = await AgentFixture.open();
    const backend = new MemoryBackend();
    backend.script("a", hangs());
    await fixture.start(backend);
    const text = `name: c\nenvironment: { image: any }\nsteps: { a: { run: "true" } }\n`;
    const run = fixture.server.submit(assignmentOf(text));
    if (heardAt === "poll") await backend.started("a");
    fixture.server.cancel(run, facts);
    assert.equal(await run.finished.promise, "cancelled");
    assert.deepEqual(endOf(run), ["cancelled", "cancelled", "The run was cancelled by ada: wrong data."]);
  }
});

test("a step that finds no room within its queueTimeout fails, and the others go on", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ fallback: exits(0) });
  backend.script("a", exits(0, { afterMs: 1500 }));
  await fixture.start(backend, { settings: { stepsAtOnce: 1 } });
  const run = fixture.server.submit(
    assignmentOf(`
name: queued
environment: { image: any }
steps:
  a: { run: "true" }
  b: { run: "true" }
  c: { run: "true", resources: { queueTimeout: 300ms } }
`),
  );
  assert.equal(await run.finished.promise, "failed");
  assert.equal(run.ends("b")[0]?.state, "succeeded");
  assert.deepEqual(run.ends("c"), []);
  const why = faultOf(run, "c");
  assert.deepEqual([why?.code, why?.class, why?.blame], ["deadline-queue", "timeout", "platform"]);
});

test("a step whose image takes longer than its imageTimeout fails, and one that waits for it longer does not", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ fallback: exits(0), capabilities: { images: true } });
  backend.image("any", () => sleep(1000, ANY, { ref: false }));
  await fixture.start(backend);
  const run = fixture.server.submit(
    assignmentOf(`
name: pulled
environment: { image: any }
steps:
  a: { run: "true", resources: { imageTimeout: 200ms } }
  b: { run: "true", resources: { imageTimeout: 1m } }
`),
  );
  assert.equal(await run.finished.promise, "failed");
  assert.equal(faultOf(run, "a")?.code, "deadline-image");
  assert.equal(run.ends("b")[0]?.state, "succeeded");
});

test("when no step waits for an image any more, it is not waited for at the end of the run either", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ fallback: exits(0), capabilities: { images: true } });
  backend.image("any", () => sleep(3_600_000, ANY, { ref: false }));
  await fixture.start(backend);
  const text = `name: p\nenvironment: { image: any }\nsteps: { a: { run: "true", resources: { imageTimeout: 200ms } } }\n`;
  const run = fixture.server.submit(assignmentOf(text));
  assert.equal(await run.finished.promise, "failed");
  assert.equal(faultOf(run, "a")?.code, "deadline-image");
});
