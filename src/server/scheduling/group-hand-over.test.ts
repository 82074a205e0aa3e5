import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAIN, runServer, showRun, submit, takeRun } from "../../../test/setup/run-fixture.ts";
import { testWorker } from "../../../test/setup/server.ts";
import { fault } from "../../protocol/faults.ts";
import { createRunWithin } from "./create-run.ts";

const END = [
  { type: "run.started", backend: "process" },
  { type: "run.finished", state: "failed", fault: fault("agent-error", "for a test") },
] as const;

test("a place that becomes free while a run is being made is that run's at once", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const pipeline = CHAIN.replace("name: chain", "name: one\nconcurrency: g");
  await submit(server, { pipeline });
  const held = await takeRun(worker);
  let end: Promise<{ statusCode: number }> | undefined;
  const made = await server.services.database.transaction(async (client) => {
    const submitter = { project: server.project, by: "test" };
    const entered = await createRunWithin(client, submitter, { pipeline, params: {} });
    // It was held back, for the other had not ended; that ends before this is committed.
    end = held.report(...END);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return entered;
  });
  assert.equal((await end!).statusCode, 200);
  assert.equal((await showRun(server, made.id)).concurrency?.heldBack, false);
});
