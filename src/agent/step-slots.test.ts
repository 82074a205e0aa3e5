import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { StepNeed } from "./step-need.ts";
import { type StepSlot, StepSlots } from "./step-slots.ts";
import type { WorkerSize } from "./worker-room.ts";

const SMALL: StepNeed = { cpus: 1, memoryBytes: 0, gpus: 0 };
const WORKER: WorkerSize = { attempts: 100, cpus: 4, memoryBytes: 100, gpus: ["a", "b"] };

function refOf(attempt: number) {
  return { run: "run", scope: "run.1", stepRun: "step", attempt };
}

test("slots are given in the order of asking, and one that is given back wakes who waits longest", () => {
  const slots = new StepSlots({ ...WORKER, cpus: 2 });
  const [first, second] = [slots.take(SMALL), slots.take(SMALL)];
  assert.equal(slots.take(SMALL), null);
  const woken: string[] = [];
  for (const name of ["long", "short"])
    slots.whenFree(SMALL, (slot) => (slot === null ? assert.fail() : woken.push(name)));
  first![Symbol.dispose]();
  first![Symbol.dispose]();
  assert.deepEqual(woken, ["long"]);
  second![Symbol.dispose]();
  assert.deepEqual(woken, ["long", "short"]);
});

test("the number, cores, memory and GPUs each say no by themselves", () => {
  for (const [size, need] of [
    [{ attempts: 1 }, SMALL],
    [{ cpus: 1.5 }, SMALL],
    [{}, { ...SMALL, memoryBytes: 60 }],
    [{}, { ...SMALL, gpus: 2 }],
  ] as const) {
    const slots = new StepSlots({ ...WORKER, ...size });
    assert.ok(slots.take(need));
    assert.equal(slots.take(need), null, JSON.stringify([size, need]));
  }
  const thirds = new StepSlots({ ...WORKER, cpus: 1 });
  const third = { ...SMALL, cpus: 1 / 3 };
  assert.ok(
    [1, 2, 3].every(() => thirds.take(third)),
    "three thirds are one",
  );
  assert.equal(thirds.take(third), null);
});

test("a large step is not overtaken for ever: what becomes free is kept for it", () => {
  const slots = new StepSlots(WORKER);
  const running = [1, 2, 3, 4].map(() => slots.take(SMALL)!);
  let large: StepSlot | null = null;
  slots.whenFree({ ...SMALL, cpus: 4 }, (slot) => {
    large = slot;
  });
  let small = 0;
  const again = (slot: StepSlot | null) => {
    small += 1;
    slot![Symbol.dispose]();
  };
  slots.whenFree(SMALL, again);
  for (const slot of running.slice(0, 3)) {
    slot[Symbol.dispose]();
    assert.equal(slots.take(SMALL), null, "a newcomer does not get what the large one waits for");
  }
  assert.deepEqual([large, small], [null, 0]);
  running[3]![Symbol.dispose]();
  assert.ok(large, "it got all four cores");
  assert.equal(small, 0);
  (large as StepSlot)[Symbol.dispose]();
  assert.equal(small, 1);
});

test("who needs no GPU does not wait behind who waits for one, as long as that one's cores are left", () => {
  const slots = new StepSlots(WORKER);
  const gpus = slots.take({ cpus: 1, memoryBytes: 0, gpus: 2 });
  assert.deepEqual(gpus?.reserved.gpus, ["a", "b"]);
  let got: readonly string[] = [];
  slots.whenFree({ cpus: 2, memoryBytes: 0, gpus: 1 }, (slot) => {
    got = slot!.reserved.gpus;
  });
  assert.ok(slots.take(SMALL));
  assert.equal(slots.take(SMALL), null, "the other two cores are for the first in line");
  gpus[Symbol.dispose]();
  assert.deepEqual(got, ["a"]);
});

test("who stops waiting holds nobody up any more, and a worker that became too small says so to who waits for more", () => {
  const slots = new StepSlots(WORKER);
  assert.ok(slots.take({ ...SMALL, cpus: 1 }));
  const wait = slots.whenFree({ ...SMALL, cpus: 4 }, () => assert.fail("it had left"));
  let got: StepSlot | null | undefined;
  slots.whenFree({ ...SMALL, cpus: 2 }, (slot) => {
    got = slot;
  });
  assert.equal(got, undefined);
  wait[Symbol.dispose]();
  assert.ok(got);
  let told: StepSlot | null | undefined;
  const both = { ...SMALL, gpus: 2 };
  assert.ok(slots.take({ ...SMALL, gpus: 1 }));
  slots.whenFree(both, (slot) => {
    told = slot;
  });
  assert.equal(slots.lacks(both), null);
  slots.resize({ ...WORKER, gpus: ["a"] });
  assert.equal(told, null);
  assert.equal(slots.lacks(both), "it needs 2 GPUs, and its worker has 1");
});

test("what an earlier process began keeps its room, once, until its run says that it ended or it is seen to be gone", () => {
  const slots = new StepSlots(WORKER);
  const gpu = (id: string) => ({ cpus: 1, memoryBytes: 0, gpus: [id] });
  slots.adopt("docker", refOf(1), gpu("a"));
  slots.adopt("docker", refOf(1), gpu("a"));
  slots.adopt("docker", refOf(2), gpu("b"));
  slots.adopt("process", refOf(3), { cpus: 5, memoryBytes: 0, gpus: [] });
  assert.equal(slots.take(SMALL), null, "what is there is more than there is room for");
  slots.keepOnly("process", []);
  assert.equal(slots.take({ ...SMALL, gpus: 1 }), null);
  using driven = slots.drive(refOf(1));
  assert.deepEqual(slots.undriven, new Set(["docker"]));
  slots.keepOnly("docker", []);
  assert.deepEqual(slots.undriven, new Set());
  assert.deepEqual(slots.take({ ...SMALL, gpus: 1 })?.reserved.gpus, ["b"], "a is still driven");
  driven[Symbol.dispose]();
  assert.deepEqual(slots.take({ ...SMALL, gpus: 1 })?.reserved.gpus, ["a"]);
});

const need = fc.record({
  cpus: fc.constantFrom(0.25, 0.5, 1, 2, 4),
  memoryBytes: fc.constantFrom(0, 10, 60, 100),
  gpus: fc.constantFrom(0, 0, 1, 2),
});
const act = fc.oneof(
  fc.record({ type: fc.constant("take" as const), need }),
  fc.record({ type: fc.constant("wait" as const), need }),
  fc.record({ type: fc.constant("give back" as const), which: fc.nat() }),
);

test("whatever is taken and given back in whatever order, nothing is given twice, and everybody is served in the end", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const slots = new StepSlots({ ...WORKER, attempts: 6 });
      const held: StepSlot[] = [];
      const check = () => {
        const reserved = held.map((slot) => slot.reserved);
        const gpus = reserved.flatMap((one) => one.gpus);
        assert.equal(new Set(gpus).size, gpus.length, "a GPU was given twice");
        assert.ok(held.length <= 6);
        assert.ok(reserved.reduce((sum, { cpus }) => sum + cpus, 0) <= 4);
        assert.ok(reserved.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0) <= 100);
      };
      const hold = (asked: StepNeed, slot: StepSlot) => {
        assert.equal(slot.reserved.gpus.length, asked.gpus);
        held.push(slot);
        check();
      };
      let asked = 0;
      let served = 0;
      for (const one of acts) {
        if (one.type === "give back") {
          if (held.length > 0) held.splice(one.which % held.length, 1)[0]![Symbol.dispose]();
          continue;
        }
        const slot = slots.take(one.need);
        if (slot !== null) hold(one.need, slot);
        else if (one.type === "wait") {
          asked += 1;
          slots.whenFree(one.need, (given) => {
            served += 1;
            hold(one.need, given!);
          });
        }
      }
      while (held.length > 0) held.shift()![Symbol.dispose]();
      assert.equal(served, asked, "somebody waits although the worker is empty");
    }),
    { numRuns: 500 },
  );
});
