import assert from "node:assert/strict";
import { test } from "node:test";
import { changedSteps, type Definition } from "./changed-steps.ts";
import { compile } from "./testing/compile-text.ts";

const STEPS = {
  rows: { run: "seq 4", outputs: { n: "n" } },
  use: { inputs: { n: "rows.n" }, run: "wc", environment: "sourced" },
  last: { needs: ["use"], run: "true" },
  apart: { run: "date" },
};
const ENVIRONMENTS = { plain: { image: "debian" }, sourced: { image: "debian", source: "." } };

function definition(change: object = {}, more: Partial<Definition> = {}): Definition {
  const file = { name: "p", environments: ENVIRONMENTS, environment: "plain", steps: { ...STEPS, ...change } };
  return { plan: compile(JSON.stringify(file)), params: {}, source: null, ...more };
}

const changes = (before: Definition, after: Definition) => Object.fromEntries(changedSteps(before, after));

test("what a step makes decides whether it has changed, and what follows from it changes with it", () => {
  assert.deepEqual(changes(definition(), definition()), {});
  assert.deepEqual(changes(definition(), definition({ use: { ...STEPS.use, run: "wc -l" } })), {
    use: ["command"],
    last: ["it needs use"],
  });
  assert.deepEqual(changes(definition(), definition({ apart: { run: "date", env: { A: "1" } } })), {
    apart: ["env.A"],
  });
  assert.deepEqual(changes(definition(), definition({ more: { run: "x" } })), { more: ["the step is new"] });
  assert.deepEqual(changes(definition(), definition({ apart: { ...STEPS.apart, environment: "sourced" } })), {
    apart: ["environment"],
  });
});

test("limits and retries change nothing that is made", () => {
  const rows = { ...STEPS.rows, retry: 7, resources: { timeout: "1h" } };
  assert.deepEqual(changes(definition(), definition({ rows })), {});
});

test("another source counts for those that take it, a parameter for all", () => {
  const source = (digit: string) => ({ digest: digit.repeat(64), size: 1 });
  const by = (digit: string) => definition({}, { source: source(digit) });
  assert.deepEqual(changes(by("1"), by("2")), { use: ["source"], last: ["it needs use"] });
  const seeded = (seed: number) => definition({}, { params: { seed } });
  assert.deepEqual(Object.keys(changes(seeded(1), seeded(2))), ["rows", "use", "last", "apart"]);
});
