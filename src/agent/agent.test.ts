import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { startAgent } from "./agent.ts";
import { AgentFixture } from "./testing/agent-fixture.ts";

test("an agent that is stopped while it starts first lets its backends remove what they try out", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  const open = backend.open.bind(backend);
  const opening = Promise.withResolvers<void>();
  let isTriedOut = false;
  backend.open = async (options) => {
    isTriedOut = true;
    opening.resolve();
    await sleep(300);
    isTriedOut = false;
    return open(options);
  };
  const log = pino({ level: "silent" });
  const agent = await startAgent({ home: fixture.home, backends: [backend], version: "test", log, settings: {} });
  await opening.promise;
  await agent.stop();
  assert.equal(isTriedOut, false);
  await assert.rejects(agent.ready, /the agent stops/);
});
