import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { fault } from "../protocol/faults.ts";
import { AgentFixture, assignmentOf } from "./testing/agent-fixture.ts";

const PINNED = { id: "sha256:old", digest: "sha256:registry" };

/** Runs one step that is to run in `PINNED`, on a platform that has everything but what is named. */
async function run(environment: string, absent: readonly string[]) {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ capabilities: { images: true, build: true } });
  for (const image of absent) {
    backend.image(image, () => ({ ok: false, fault: fault("image-not-found", `There is no image ${image}.`) }));
  }
  await fixture.start(backend);
  const images = { default: PINNED };
  const text = `name: pinned\nenvironment: ${environment}\nsteps: { only: { run: "true" } }\n`;
  const submitted = fixture.server.submit(assignmentOf(text, { images }));
  const state = await submitted.finished.promise;
  const started = submitted.events.find((event) => event.type === "attempt.started");
  const end = submitted.events.find((event) => event.type === "run.finished");
  return { state, image: started?.image?.id, fault: end?.fault, asked: backend.calls.map(({ about }) => about) };
}

test("a restart runs in the very image of the run that it goes on from, although its name is there", async () => {
  const { state, image, asked } = await run("{ image: tool:1 }", []);
  assert.deepEqual([state, image], ["succeeded", PINNED.id]);
  assert.ok(!asked.includes("tool:1"));
});

test("an image that is not on the worker is pulled by its digest; what cannot be had fails and says what can be done", async () => {
  const pulled = await run("{ image: tool:1 }", [PINNED.id]);
  assert.deepEqual([pulled.state, pulled.image], ["succeeded", `tool@${PINNED.digest}`]);
  const gone = await run("{ image: tool:1 }", [PINNED.id, `tool@${PINNED.digest}`]);
  assert.deepEqual([gone.state, gone.fault?.code], ["failed", "image-not-found"]);
  assert.match(gone.fault!.advice, /--with-latest/);
  assert.ok(!gone.asked.includes("tool:1"), "never what the name stands for now");
});

test("an image that was built is built from the same recipe where it is not on the worker", async () => {
  const { state, image } = await run("{ base: debian, apt: [jq] }", [PINNED.id]);
  assert.equal(state, "succeeded");
  assert.match(image ?? "", /pinned:/);
});
