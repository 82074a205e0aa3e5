import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { HeldRuns } from "./held-runs.ts";
import { pollLoop } from "./poll-loop.ts";
import { assignmentOf } from "./testing/agent-fixture.ts";

test("a run that cannot be written down, because the disk is full, does not end the agent", async () => {
  const stop = new AbortController();
  let fenced: unknown = null;
  let polls = 0;
  await pollLoop({
    poll: async () => {
      if (++polls > 1) stop.abort();
      return {
        assignments: [assignmentOf("name: p\nenvironment: { image: any }\nsteps: { a: { run: x } }\n")],
        cancel: [],
        lost: [],
      };
    },
    held: new HeldRuns(),
    freeSlots: () => 1,
    accept: () => {
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    },
    slotFreed: () => new Promise(() => {}),
    onFenced: (error) => {
      fenced = error;
    },
    signal: stop.signal,
    log: pino({ level: "silent" }),
  });
  assert.equal(fenced, null);
});
