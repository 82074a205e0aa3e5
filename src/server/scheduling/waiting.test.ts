import assert from "node:assert/strict";
import { test } from "node:test";
import type { Needs, WaitReason } from "../../protocol/resources.ts";
import type { Candidate } from "../store/candidates.ts";
import type { Wanted } from "./wait-reasons.ts";
import { explain } from "./waiting.ts";

const GiB = 1024 ** 3;
const WANTED: Wanted = {
  ...{ pool: "default", labels: [], backend: "process" },
  needs: { cpus: 0, memoryBytes: 0, gpus: 0, diskBytes: 0 },
};

function needing(needs: Partial<Needs>): Wanted {
  return { ...WANTED, needs: { ...WANTED.needs, ...needs } };
}

function worker(more: Partial<Candidate>): Candidate {
  return {
    id: "wrk_1",
    name: "here",
    pool: "default",
    labels: [],
    backends: ["process"],
    limiting: ["process"],
    cpus: 8,
    memoryBytes: 24 * GiB,
    gpus: 2,
    slots: 2,
    held: 0,
    gpusHeld: 0,
    draining: false,
    online: true,
    booted: true,
    diskFreeBytes: 10 * GiB,
    diskNeededBytes: 2 * GiB,
    diskTotalBytes: 100 * GiB,
    ...more,
  };
}

test("a worker that lacks nothing is about to take the run", () => {
  assert.equal(explain(WANTED, [worker({})]).summary, "here is about to take it.");
  const all = needing({ cpus: 8, memoryBytes: 24 * GiB, gpus: 2, diskBytes: 8 * GiB });
  assert.equal(explain(all, [worker({})]).summary, "here is about to take it.", "all that it has is enough");
});

test("each part of the claim that fails is named with its figures, and said to pass or not", () => {
  const cases: [Wanted, Partial<Candidate>, WaitReason["code"], WaitReason["kind"], string][] = [
    [WANTED, { pool: "other" }, "pool", "impossible", "is in pool other, not default"],
    [{ ...WANTED, labels: ["a", "b"] }, { labels: ["b"] }, "label", "impossible", "lacks label a"],
    [WANTED, { backends: [] }, "backend", "impossible", "has no backend process"],
    [needing({ cpus: 1 }), { limiting: [] }, "backend", "impossible", "has a backend process that cannot limit cpu or"],
    [
      { ...needing({ memoryBytes: 1 }), backend: null },
      { limiting: [] },
      "backend",
      "impossible",
      "has no backend that",
    ],
    [needing({ cpus: 9 }), {}, "cpu", "impossible", "has 8 cores, and 9 are needed"],
    [needing({ memoryBytes: 64 * GiB }), {}, "memory", "impossible", "has 24.0 GiB of memory, and 64.0 GiB are needed"],
    [needing({ memoryBytes: 24 * GiB }), { memoryBytes: 24 * GiB - 2 ** 20 }, "memory", "impossible", "has 23.999 GiB"],
    [needing({ gpus: 1 }), { gpus: 0 }, "gpu", "impossible", "has no GPU, and 1 is needed"],
    [needing({ gpus: 2 }), { gpusHeld: 1 }, "gpu", "busy", "has 1 of 2 GPUs free, and 2 are needed"],
    [needing({ diskBytes: 99 * GiB }), {}, "disk", "impossible", "has a disk of 100.0 GiB, and 99.0 GiB are needed"],
    [needing({ diskBytes: 9 * GiB }), {}, "disk", "busy", "has 10.0 GiB of disk free, and 9.0 GiB are needed beside"],
    [needing({ diskBytes: 999 * GiB }), { diskTotalBytes: null }, "disk", "busy", "has 10.0 GiB of disk free"],
    [WANTED, { online: false }, "offline", "busy", "was not heard of for a while"],
    [WANTED, { draining: true }, "draining", "busy", "takes no further runs"],
    [WANTED, { held: 2 }, "busy", "busy", "holds 2 of 2 runs"],
  ];
  for (const [run, change, code, kind, message] of cases) {
    const { workers, possible } = explain(run, [worker(change)]);
    const [reason, ...more] = workers[0]!.reasons;
    assert.ok(reason);
    assert.ok(reason.message.startsWith(message), `${code}: ${reason.message}`);
    assert.deepEqual([reason.code, reason.kind, more], [code, kind, []], message);
    assert.equal(possible, kind === "busy", message);
  }
});

test("a full disk is emptied some day: until then the run waits", () => {
  const { summary, possible } = explain(WANTED, [worker({ diskFreeBytes: GiB / 2 })]);
  assert.match(summary, /here has 0\.5 GiB of disk free, and takes no runs below 2\.0 GiB\.$/);
  assert.equal(possible, true);
});

test("a worker whose agent never ran may have any backend, but not more than its machine has, nor another pool", () => {
  const fresh = { booted: false, online: false, backends: [] };
  const { summary, possible } = explain(WANTED, [worker(fresh)]);
  assert.equal(summary, "It waits for a worker: here has not been started yet.");
  assert.equal(possible, true);
  assert.equal(explain(needing({ gpus: 3 }), [worker(fresh)]).possible, false);
  assert.equal(explain(WANTED, [worker({ ...fresh, pool: "other" })]).possible, false);
});

test("one worker that could take it is enough, and is named before those that never can", () => {
  const never = worker({ id: "wrk_2", name: "small", cpus: 1 });
  const { workers, possible, summary } = explain(needing({ cpus: 4 }), [never, worker({ held: 2, draining: true })]);
  assert.deepEqual(
    workers.map(({ name }) => name),
    ["here", "small"],
  );
  assert.equal(possible, true);
  assert.equal(summary, "It waits for a worker: here takes no further runs, and holds 2 of 2 runs.");
  assert.deepEqual(explain(WANTED, []), {
    ...{ summary: "No worker is registered.", possible: false, place: null, workers: [] },
  });
});
