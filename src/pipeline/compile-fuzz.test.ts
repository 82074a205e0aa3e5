import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { checkPipeline } from "../../test/fuzz/check-pipeline.ts";
import { changedExamples, nearlyRight, randomBytes, randomValues, randomYaml } from "../../test/fuzz/pipeline-texts.ts";
import { compilePipeline } from "./compile.ts";

test("random bytes never throw or hang", () => {
  fc.assert(fc.property(randomBytes, checkPipeline), { numRuns: 500 });
});

test("random YAML never throws or hangs", () => {
  fc.assert(fc.property(randomYaml, checkPipeline), { numRuns: 1_000 });
});

test("random values in the place of a pipeline never throw or hang", () => {
  fc.assert(fc.property(randomValues, checkPipeline), { numRuns: 500 });
});

test("random pipelines that are nearly right give a plan that runs, or problems", () => {
  assert.ok(compiledOf(nearlyRight, 500) > 50, "too few of them compiled to mean anything");
});

test("examples with a few things changed give a plan that runs, or problems", () => {
  assert.ok(compiledOf(changedExamples, 500) > 25, "too few of them compiled to mean anything");
});

/** Checks that many; how many of them are pipelines. */
function compiledOf(texts: fc.Arbitrary<string>, numRuns: number): number {
  let compiled = 0;
  const property = fc.property(texts, (text) => {
    checkPipeline(text);
    if (compilePipeline(text).ok) compiled += 1;
  });
  fc.assert(property, { numRuns });
  return compiled;
}
