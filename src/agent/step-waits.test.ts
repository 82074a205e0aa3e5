import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { exits } from "../backends/memory/script.ts";
import { AgentFixture, assignmentOf } from "./testing/agent-fixture.ts";

const IMAGE_MS = 300;
const STEP_MS = 400;
/** Of a machine that is busy with other tests. */
const NOISE_MS = 250;

const PIPELINE = `
name: waits
environments: { slow: { image: "slow:1" }, quick: { image: "quick:1" } }
steps:
  first: { run: "true", environment: slow, resources: { cpu: 2 } }
  second: { run: "true", environment: quick, resources: { cpu: 2 } }
  after: { run: "true", environment: quick, needs: [first], retry: { max: 1, delay: 400ms, backoff: fixed } }
`;

test("each attempt says how long it waited: for its image, for room on its worker, or in the pause after a failure", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ capabilities: { images: true, build: true }, fallback: exits(0) });
  const found = (image: string) => ({ ok: true, image, digest: image, cached: false }) as const;
  backend.image("slow:1", () => sleep(IMAGE_MS).then(() => found("slow:1")));
  backend.image("quick:1", () => found("quick:1"));
  backend.script("first", exits(0, { afterMs: STEP_MS }));
  backend.script("second", exits(0, { afterMs: STEP_MS }));
  let tries = 0;
  backend.script("after", (step) => exits(tries++ === 0 ? 1 : 0)(step));
  await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(PIPELINE));
  assert.equal(await run.finished.promise, "succeeded");
  const waits = run.events.flatMap((event) =>
    event.type === "attempt.started" ? [[`${event.stepRun} ${event.attempt}`, event.waited!] as const] : [],
  );
  const of = Object.fromEntries(waits);
  const isAbout = (value: number, ms: number) =>
    assert.ok(value >= ms - 20 && value < ms + NOISE_MS, `${value}, not ${ms}`);
  isAbout(of["second 1"]!.queueMs, 0);
  isAbout(of["first 1"]!.imageMs, IMAGE_MS);
  isAbout(of["first 1"]!.queueMs, STEP_MS - IMAGE_MS);
  isAbout(of["after 1"]!.queueMs, 0);
  isAbout(of["after 2"]!.queueMs, STEP_MS);
  isAbout(of["after 2"]!.imageMs, 0);
});
