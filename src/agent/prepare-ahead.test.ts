import assert from "node:assert/strict";
import { test } from "node:test";
import type { ExecutionBackend } from "../backends/execution-backend.ts";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { exits, waitsThen } from "../backends/memory/script.ts";
import { AgentFixture, assignmentOf } from "./testing/agent-fixture.ts";
import { until } from "./testing/until.ts";

const CHAIN = `
name: chain
environment: { image: any }
retry: 0
steps:
  a: { run: x, outputs: { x: { path: x } } }
  b: { run: x, inputs: { x: a.x } }
`;

test("what is still being made ready when it is not wanted any more is removed after that", async () => {
  await using fixture = await AgentFixture.open();
  const memory = new MemoryBackend();
  memory.script("a", waitsThen(exits(1)));
  const asked = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const slow: ExecutionBackend = {
    name: memory.name,
    open: async (options) => {
      const session = await memory.open(options);
      const prepare = session.prepare.bind(session);
      session.prepare = async (ref, spec) => {
        asked.resolve();
        await goOn.promise;
        return prepare(ref, spec);
      };
      return session;
    },
  };
  await fixture.start(slow);
  const run = fixture.server.submit(assignmentOf(CHAIN));
  const first = await memory.started("a");
  await asked.promise;
  first.tell();
  assert.equal(await run.finished.promise, "failed");
  goOn.resolve();
  await until("nothing of the run is left", () => memory.attempts.size === 0 && memory.scopes.size === 0);
  assert.equal(memory.callsOf("prepare", "b"), 1);
  memory.assertNoMisuse();
});
