import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { exits } from "../backends/memory/script.ts";
import { INLINE_BLOB_MAX_BYTES } from "../protocol/artifacts.ts";
import type { AgentEventBody } from "../protocol/events.ts";
import { newId } from "../protocol/ids.ts";
import { AgentFixture, assignmentOf } from "./testing/agent-fixture.ts";

/** Uploaded by itself, so that the end of the step that wrote it is reported some time after it ended. */
const LARGE = `${"x".repeat(INLINE_BLOB_MAX_BYTES)}\n`;

/**
 * Whoever takes a run over makes again what is not committed, perhaps otherwise: what followed from it must not be known
 * to the server before.
 */
async function isReportedAfterItsNeed(type: AgentEventBody["type"], steps: string): Promise<void> {
  await using fixture = await AgentFixture.open();
  const text = "made before";
  const digest = fixture.server.addBlob(Buffer.from(text));
  const content = { kind: "file", digest, size: text.length, fileName: "x", contentType: "text/plain", fileCount: 1 };
  fixture.server.cached = ({ stepRun }) =>
    stepRun === "next" ? { run: newId("run"), number: 1, outputs: { x: content as never } } : null;
  const backend = new MemoryBackend({ fallback: exits(0) });
  backend.script("first", exits(0, { outputs: { rows: LARGE, flag: "no" } }));
  await fixture.start(backend);
  // The first uploads are lost on the way and tried again.
  let lost = 0;
  fixture.server.interfere = (path) => (/\/blobs\/[0-9a-f]{64}/.test(path) && lost++ < 2 ? "drop" : undefined);
  const first = "first: { run: x, outputs: { rows: { path: rows }, flag: { path: flag, type: text } } }";
  const run = fixture.server.submit(
    assignmentOf(`name: ordered\nenvironment: { image: any }\nsteps:\n  ${first}\n  ${steps}\n`),
  );
  await run.finished.promise;
  assert.ok(lost > 0);
  const place = (find: (event: AgentEventBody) => boolean) => run.events.findIndex(find);
  const end = place((event) => event.type === "attempt.finished" && event.stepRun === "first");
  const follows = place((event) => event.type === type && "stepRun" in event && event.stepRun === "next");
  assert.ok(end >= 0 && follows > end, `${type} is event ${follows}, the end of what it follows from is ${end}`);
  assert.deepEqual(fixture.server.violations, []);
}

test("a batch is reported as split once what it is split by is committed", async () => {
  await isReportedAfterItsNeed("step.expanded", "next: { run: x, batch: { over: first.rows, size: 1 } }");
});

test("what a condition decides is reported once what it looked at is committed", async () => {
  await isReportedAfterItsNeed("step.finished", 'next: { run: x, when: steps.first.outputs.flag == "yes" }');
});

test("a result from the cache is reported once what the step would have read is committed", async () => {
  await isReportedAfterItsNeed(
    "step.cached",
    "next: { run: x, cache: true, inputs: { rows: first.rows }, outputs: { x: { path: x } } }",
  );
});
