import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { stringify } from "yaml";
import { Plan } from "../protocol/plan.ts";
import { compilePipeline } from "./compile.ts";
import { RunGraph } from "./graph.ts";
import { initialStepRuns } from "./step-runs.ts";

/** A compile of a small text takes a few milliseconds; this only tells a hang from a busy machine. */
const HANG_MS = 2_000;

/** Compiles, and holds every result to what callers rely on. */
function check(text: string): void {
  const started = performance.now();
  const result = compilePipeline(text);
  assert.ok(performance.now() - started < HANG_MS, "too slow");
  if (!result.ok) {
    assert.ok(result.problems.length > 0);
    for (const { message, line = 1, column = 1 } of result.problems) {
      assert.ok(message !== "" && line >= 1 && column >= 1);
      assert.doesNotMatch(message, /\p{Cc}/u, "a message is safe to print");
    }
    return;
  }
  assert.deepEqual(Plan.parse(result.plan), result.plan);
  const keys = initialStepRuns(result.plan).map(({ key }) => key);
  assert.equal(new Set(keys).size, keys.length, "keys are unique");
  const graph = new RunGraph(result.plan);
  for (let ready = graph.ready(); ready.length > 0; ready = graph.ready()) {
    for (const { key, isBatch } of ready) {
      if (isBatch) graph.expand(key, 1);
      else graph.settle(key, "succeeded");
    }
  }
  assert.equal(graph.outcome, "succeeded", "a plan that compiles can run to its end");
}

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array).toString("utf8"));
const word = fc.constantFrom(
  ..."name steps run needs inputs outputs matrix batch over python command env environment image base params".split(
    " ",
  ),
  ...[
    "a",
    "b",
    "a.b",
    "b.a",
    "x.csv",
    "../x",
    "1",
    "1.10",
    "true",
    "~",
    "yes",
    "${{ params.a }}",
    "${{ matrix.b }}",
    "$${{",
    "",
    "-",
  ],
  ...[
    "constructor",
    "__proto__",
    "default",
    "serial",
    "1GiB",
    "10m",
    "lines",
    "folder",
    "m:f",
    "\u202e",
    "ü",
    "0x1F",
    "1e999",
  ],
);
const signs = fc.constantFrom(
  ": ",
  ":\n  ",
  "- ",
  "\n",
  "\n  ",
  "{",
  "}",
  "[",
  "]",
  ", ",
  "&a ",
  "*a",
  "!!str ",
  "|\n",
  '"',
  "'",
  "#",
  "---\n",
  "\t",
  "? ",
);

test("random bytes never throw or hang", () => {
  fc.assert(fc.property(fc.oneof(bytes, fc.string({ unit: "binary", maxLength: 300 })), check), { numRuns: 500 });
});

test("random YAML never throws or hangs", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(word, signs), { maxLength: 80 }).map((parts) => parts.join("")),
      check,
    ),
    { numRuns: 1_000 },
  );
});

test("random values in the place of a pipeline never throw or hang", () => {
  const tree = fc.letrec<{ any: unknown }>((tie) => ({
    any: fc.oneof(
      { depthSize: "small" },
      word,
      fc.integer(),
      fc.constant(null),
      fc.array(tie("any"), { maxLength: 4 }),
      fc.dictionary(word, tie("any"), { maxKeys: 6 }),
    ),
  })).any;
  const file = fc.record({
    name: word,
    environment: tree,
    params: tree,
    env: tree,
    steps: fc.dictionary(word, tree, { maxKeys: 5 }),
    mode: word,
  });
  fc.assert(
    fc.property(file, fc.boolean(), (value, json) => check(json ? JSON.stringify(value) : stringify(value))),
    { numRuns: 500 },
  );
});

test("random pipelines that are nearly right give a plan that runs, or problems", () => {
  // Mostly a step above, which has the output; now and then something else.
  const wanted = fc.oneof({ weight: 12, arbitrary: fc.nat(3) }, { weight: 1, arbitrary: fc.constant(9) });
  const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 1 });
  const shape = fc.record({
    run: fc.constantFrom("x", "${{ params.seed }}", "${{ outputs.o }}"),
    needs: optional(wanted),
    matrix: optional(fc.record({ m: fc.uniqueArray(fc.constantFrom("x", 1, true, "y z"), { minLength: 1 }) })),
    batch: optional(fc.record({ over: wanted, format: optional(fc.constantFrom("auto", "lines", "csv", "json")) })),
    input: optional(fc.record({ from: wanted, gather: optional(fc.constantFrom("folder", "csv")) })),
    outputs: fc.constant({ o: "o.csv", p: "p/q.txt" }),
  });
  const file = fc
    .record({
      mode: optional(fc.constantFrom("serial", "parallel")),
      shapes: fc.array(shape, { minLength: 1, maxLength: 5 }),
    })
    .map(({ mode, shapes }) => {
      const above = (index: number, nth: number) => (nth > 3 || index === 0 ? "s9" : `s${nth % index}`);
      const steps = shapes.map(({ run, needs, matrix, batch, input, outputs }, index) => ({
        ...{ run, matrix, outputs },
        ...(needs === undefined || index === 0 ? {} : { needs: [above(index, needs)] }),
        ...(batch === undefined || index === 0 ? {} : { batch: { ...batch, over: `${above(index, batch.over)}.o` } }),
        ...(input === undefined || index === 0
          ? {}
          : { inputs: { i: { ...input, from: `${above(index, input.from)}.p` } } }),
      }));
      const named = Object.fromEntries(steps.map((step, index) => [`s${index}`, step]));
      return { name: "p", mode, params: { seed: 7 }, environment: { image: "x" }, steps: named };
    });
  let compiled = 0;
  fc.assert(
    fc.property(file, (value) => {
      const text = JSON.stringify(value);
      check(text);
      if (compilePipeline(text).ok) compiled++;
    }),
    { numRuns: 500 },
  );
  assert.ok(compiled > 50, `${compiled} of them compiled, too few to mean anything`);
});
