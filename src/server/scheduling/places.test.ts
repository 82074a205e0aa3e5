import assert from "node:assert/strict";
import { test } from "node:test";
import { admissible } from "./places.ts";

const waiting = (...limits: number[]) => limits.map((limit, index) => ({ id: `run_${index}`, limit }));

test("as many get a place as are free, in order", () => {
  assert.equal(admissible({ taken: 0, waiting: [] }), 0);
  assert.equal(admissible({ taken: 0, waiting: waiting(1, 1) }), 1);
  assert.equal(admissible({ taken: 1, waiting: waiting(1, 1) }), 0);
  assert.equal(admissible({ taken: 1, waiting: waiting(3, 3, 3) }), 2);
  assert.equal(admissible({ taken: 7, waiting: waiting(3) }), 0);
});

test("a run with a lower limit is not passed by those behind it that would fit", () => {
  assert.equal(admissible({ taken: 1, waiting: waiting(1, 5) }), 0);
  assert.equal(admissible({ taken: 1, waiting: waiting(5, 1, 5) }), 1);
});
