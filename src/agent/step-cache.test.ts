import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { exits } from "../backends/memory/script.ts";
import type { CacheHit } from "../protocol/cache.ts";
import { newId } from "../protocol/ids.ts";
import { AgentFixture, assignmentOf } from "./testing/agent-fixture.ts";

const CHAIN = `
name: cached
environment: { image: any }
steps:
  a: { run: "true", cache: true, outputs: { x: { path: x } } }
  b: { run: "true", inputs: { x: a.x } }
`;

function fileOf(digest: string, size: number) {
  return { kind: "file", digest, size, fileName: "x", contentType: "text/plain", fileCount: 1 } as const;
}

async function fixtureWithHit() {
  const fixture = await AgentFixture.open();
  const text = "made before";
  const digest = fixture.server.addBlob(Buffer.from(text));
  const hit: CacheHit = { run: newId("run"), number: 7, outputs: { x: fileOf(digest, text.length) } };
  return { fixture, hit };
}

test("a step whose result is known does not run, and what needs it reads that result", async () => {
  const { fixture, hit } = await fixtureWithHit();
  await using _ = fixture;
  fixture.server.cached = () => hit;
  const backend = new MemoryBackend({ fallback: exits(0) });
  await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(CHAIN));
  assert.equal(await run.finished.promise, "succeeded");
  assert.equal(backend.callsOf("submit", "a"), 0);
  assert.equal(run.ends("b")[0]?.inputs[0]?.digest, hit.outputs.x!.digest);
  const taken = run.events.find((event) => event.type === "step.cached");
  assert.ok(taken?.type === "step.cached");
  assert.deepEqual(taken.from, { run: hit.run, number: 7 });
  assert.ok(Object.hasOwn(taken.cache.components, "command"));
});

test("a step that is not known runs, and its key is reported; so does one whose cache is off or cannot be asked", async () => {
  for (const trouble of ["unknown", "off", "broken"] as const) {
    const { fixture, hit } = await fixtureWithHit();
    await using _ = fixture;
    fixture.server.cached = () => {
      if (trouble === "broken") throw new Error("no answer");
      return trouble === "unknown" ? null : hit;
    };
    const backend = new MemoryBackend();
    backend.script("a", exits(0, { outputs: { x: "x" } }));
    await fixture.start(backend);
    const run = fixture.server.submit(assignmentOf(CHAIN, { noCache: trouble === "off" }));
    assert.equal(await run.finished.promise, "succeeded", trouble);
    assert.equal(backend.callsOf("submit", "a"), 1, trouble);
    const started = run.events.find((event) => event.type === "attempt.started" && event.stepRun === "a");
    assert.ok(started?.type === "attempt.started" && started.cache !== undefined, trouble);
  }
});

test("a result of which an output is gone is made again", async () => {
  const { fixture, hit } = await fixtureWithHit();
  await using _ = fixture;
  fixture.server.cached = () => ({ ...hit, outputs: {} });
  const backend = new MemoryBackend({ fallback: exits(0) });
  backend.script("a", exits(0, { outputs: { x: "x" } }));
  await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(CHAIN));
  assert.equal(await run.finished.promise, "succeeded");
  assert.equal(backend.callsOf("submit", "a"), 1);
});

test("a matrix that was made before costs a few requests, not one for each of its step runs", async () => {
  const { fixture, hit } = await fixtureWithHit();
  await using _ = fixture;
  fixture.server.cached = () => hit;
  await fixture.start(new MemoryBackend());
  const index = [...Array(100).keys()];
  const steps = { a: { run: "true", cache: true, outputs: { x: "x" }, matrix: { index } } };
  const wide = JSON.stringify({ name: "wide", environment: { image: "any" }, steps });
  const run = fixture.server.submit(assignmentOf(wide));
  assert.equal(await run.finished.promise, "succeeded");
  assert.equal(run.events.filter((event) => event.type === "step.cached").length, 100);
  const asked = fixture.server.requests.filter((request) => request.endsWith("/cache")).length;
  assert.ok(asked <= 5, `${asked} requests`);
});

test("the key is the same for the same, and another for another parameter, input or command", async () => {
  const keys: string[] = [];
  for (const [text, params] of [
    [CHAIN, {}],
    [CHAIN, {}],
    [CHAIN.replace('"true", cache', '"false", cache'), {}],
    [`${CHAIN}params: { seed: 7 }\n`, { seed: 7 }],
    [`${CHAIN}params: { seed: 7 }\n`, { seed: 8 }],
  ] as const) {
    await using fixture = await AgentFixture.open();
    fixture.server.cached = ({ key }) => {
      keys.push(key);
      return null;
    };
    const backend = new MemoryBackend();
    backend.script("a", exits(0, { outputs: { x: "x" } }));
    await fixture.start(backend);
    const run = fixture.server.submit(assignmentOf(text, { params }));
    await run.finished.promise;
  }
  assert.equal(keys[0], keys[1]);
  assert.equal(new Set(keys).size, 4);
});

test("an agent that is started again after a result was taken goes on with it", async () => {
  const { fixture, hit } = await fixtureWithHit();
  await using _ = fixture;
  fixture.server.cached = () => hit;
  const backend = new MemoryBackend();
  backend.script("b", exits(0, { afterMs: 600 }));
  const agent = await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(CHAIN));
  await backend.started("b");
  await agent.stop();
  fixture.server.cached = () => null;
  await fixture.start(backend);
  assert.equal(await run.finished.promise, "succeeded");
  assert.equal(run.events.filter((event) => event.type === "step.cached").length, 1);
  assert.equal(backend.callsOf("submit", "a"), 0);
});
