import assert from "node:assert/strict";
import { test } from "node:test";
import { type Candidate, explain } from "./waiting.ts";

const WANTED = { pool: "default", labels: [], backend: "process" };

function worker(more: Partial<Candidate>): Candidate {
  return {
    id: "wrk_1",
    name: "here",
    pool: "default",
    labels: [],
    backends: ["process"],
    slots: 2,
    held: 0,
    draining: false,
    online: true,
    booted: true,
    diskFreeBytes: 10 * 1024 ** 3,
    diskNeededBytes: 2 * 1024 ** 3,
    ...more,
  };
}

test("a worker that lacks nothing is about to take the run", () => {
  assert.equal(explain(WANTED, [worker({})]).summary, "here is about to take it.");
});

test("a worker whose disk is nearly full says so, and somebody has to change that", () => {
  const { summary, possible } = explain(WANTED, [worker({ diskFreeBytes: 1024 ** 3 / 2 })]);
  assert.match(summary, /here has 0\.5 GiB of disk free, and takes no runs below 2\.0 GiB\.$/);
  assert.equal(possible, false);
});

test("what a worker can do is unknown until its agent is started for the first time", () => {
  const { summary, possible } = explain(WANTED, [worker({ booted: false, online: false, backends: [] })]);
  assert.equal(summary, "It waits for a worker: here has not been started yet.");
  assert.equal(possible, true);
});
