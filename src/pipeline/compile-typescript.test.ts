import assert from "node:assert/strict";
import { test } from "node:test";
import { compilePipeline } from "./compile.ts";
import { formatProblem } from "./problem.ts";
import { compile, problemsInSteps } from "./testing/compile-text.ts";

const HEAD = 'name: p\nenvironment: { base: "node:24", source: app }\n';
const FILES = ["app/steps/train.ts", "app/lib.mjs"];

/** What is wrong with a step, where its folder holds the files above. */
function problemsOf(step: string): string {
  const kindOf = (path: string) =>
    FILES.includes(path) ? "file" : FILES.some((file) => file.startsWith(`${path}/`)) ? "folder" : "nothing";
  const result = compilePipeline(`${HEAD}steps:\n  a: ${step}\n`, { kindOf });
  return result.ok ? "" : result.problems.map((problem) => formatProblem("p.yaml", problem)).join("\n");
}

test("a function is named by its file or its package", () => {
  const action = (target: string) => compile(`${HEAD}steps: { a: { typescript: "${target}" } }`).steps[0]!.action;
  assert.deepEqual(action("steps/train.ts:train"), { kind: "typescript", module: "steps/train.ts", function: "train" });
  assert.deepEqual(action("./lib.mjs:default"), { kind: "typescript", module: "lib.mjs", function: "default" });
  assert.deepEqual(action("@acme/steps/x.js:$run"), {
    kind: "typescript",
    module: "@acme/steps/x.js",
    function: "$run",
  });
  for (const wrong of [
    "train",
    "../x.ts:train",
    "/x.ts:train",
    "a//b.ts:train",
    "x.ts:a.b",
    "x.ts:",
    "a/../../b.ts:c",
  ]) {
    const problems = problemsInSteps(`{ a: { typescript: "${wrong}" } }`).join();
    assert.match(problems, /must be "module:function", such as "steps\/train\.ts:train"/, wrong);
  }
});

test("a module that is not in the source folder is told with its position, and with the one that seems to be meant", () => {
  assert.equal(problemsOf("{ typescript: steps/train.ts:train }"), "");
  assert.equal(problemsOf("{ typescript: some-package:train }"), "");
  assert.equal(problemsOf("{ typescript: some-package/train.js:train }"), "");
  assert.equal(
    problemsOf("{ typescript: steps/trian.ts:train }"),
    'p.yaml:4:20 steps.a.typescript: there is no file "app/steps/trian.ts" in the folder of the pipeline file',
  );
  assert.match(problemsOf("{ typescript: steps/train:train }"), /did you mean "steps\/train\.ts:train"\?/);
  assert.match(problemsOf("{ typescript: lib.ts:train }"), /did you mean "lib\.mjs:train"\?/);
  assert.match(problemsOf("{ typescript: ./x.js:train }"), /there is no file "app\/x\.js"/);
  assert.match(problemsOf("{ typescript: app/train.py:train }"), /write python: app\.train:train/);
  assert.match(problemsOf("{ typescript: app/page.tsx:train }"), /Node does not run \.tsx files/);
});

test("what only Python reads is neither an input nor an output of a TypeScript step", () => {
  const steps = `{
    a: { python: "m:f", outputs: { model: { type: pickle } } },
    b: { typescript: "b.ts:f", inputs: { model: a.model } },
    c: { typescript: "c.ts:f", inputs: { model: { from: a.model, type: file } }, outputs: { x: { type: pickle } } } }`;
  assert.deepEqual(
    problemsInSteps(steps).map((line) => line.split(", ")[0]),
    [
      "steps.b.inputs.model: a typescript step cannot read the type pickle: let the step before write json",
      "steps.c.outputs.x: a typescript step cannot write the type pickle: choose json",
    ],
  );
});

test("a step is one of the kinds, and outputs of a function without an ending are JSON", () => {
  assert.match(problemsInSteps('{ a: { typescript: "a.ts:f", run: x } }').join(), /has run and typescript: choose one/);
  const [step] = compile(`${HEAD}steps: { a: { typescript: "a.ts:f", outputs: [scores] } }`).steps;
  assert.deepEqual(step!.outputs.scores, { path: "scores.json", type: "json", optional: false, when: "success" });
});

test("args are values, lists and templates for a function, which are checked like all others", () => {
  const [step] = compile(`${HEAD}params: { seed: 7 }
steps: { a: { python: "m:f", args: { depth: 3, names: [a, "\${{ params.seed }}"], seed2: "\${{ params.seed }}" } } }`).steps;
  const args = { depth: 3, names: ["a", "${{ params.seed }}"], seed2: "${{ params.seed }}" };
  assert.deepEqual(step!.action, { kind: "python", module: "m", function: "f", args });
  assert.match(
    problemsInSteps("{ a: { run: x, args: { a: 1 } } }").join(),
    /"args" goes with python and typescript: use env/,
  );
  assert.match(
    problemsInSteps('{ a: { typescript: "a.ts:f", args: { a: "${{ params.x }}" } } }').join(),
    /there is no "params.x"/,
  );
  const both = '{ b: { run: x, outputs: [o] }, a: { typescript: "a.ts:f", inputs: { o: b.o }, args: { o: 1 } } }';
  assert.match(problemsInSteps(both).join(), /"o" is an input of the step/);
});
