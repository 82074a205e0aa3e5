import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { hangs } from "../backends/memory/script.ts";
import type { FixedImage } from "../protocol/events.ts";
import { fault } from "../protocol/faults.ts";
import { AgentFixture, assignmentOf } from "./testing/agent-fixture.ts";

const PINNED = { id: "sha256:old", digest: "sha256:registry" };

/** Runs one step that is to run in `PINNED`, on a platform that has everything but what is named. */
async function run(environment: string, absent: readonly string[], fixed: FixedImage = PINNED) {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ capabilities: { images: true, build: true } });
  for (const image of absent) {
    backend.image(image, () => ({ ok: false, fault: fault("image-not-found", `There is no image ${image}.`) }));
  }
  await fixture.start(backend);
  const images = { default: fixed };
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

test("a run that is handed over goes on in the image that it began with, by the reference that was reported", async () => {
  const reference = `mirror.example.com/tool@${PINNED.digest}`;
  const { image, asked } = await run("{ image: tool:1 }", [PINNED.id], { ...PINNED, reference });
  assert.equal(image, reference);
  assert.ok(!asked.includes("tool:1"), "whatever the name stands for now");
});

test("an agent that was started again goes on in the image that the run began with, although its name was moved", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ capabilities: { images: true, build: true } });
  let stands = { image: "sha256:first", digest: "sha256:first-digest" };
  backend.image("tool:1", () => ({ ok: true, ...stands, cached: false }));
  backend.script("one", hangs());
  const agent = await fixture.start(backend);
  const text =
    'name: again\nenvironment: { image: tool:1 }\nsteps: { one: { run: "1" }, two: { run: "2", needs: [one] } }\n';
  const submitted = fixture.server.submit(assignmentOf(text));
  const one = await backend.started("one");
  await agent.stop();
  stands = { image: "sha256:second", digest: "sha256:second-digest" };
  await fixture.start(backend);
  one.finish({ exit: 0 });
  assert.equal(await submitted.finished.promise, "succeeded");
  const used = submitted.events.flatMap((event) => (event.type === "attempt.started" ? [event.image] : []));
  const first = { id: "sha256:first", digest: "sha256:first-digest" };
  assert.deepEqual(used, [first, first]);
});
