import assert from "node:assert/strict";
import { test } from "node:test";
import { evaluateCondition } from "./condition.ts";
import { compile, ENVIRONMENT, problemsInSteps, problemsOf } from "./testing/compile-text.ts";

const STEPS = `
  score: { run: x, outputs: { m: m.json, dir: out/, "blob": b.bin } }
  many: { run: x, matrix: { n: [1, 2] }, outputs: { o: o.json } }
`;

/** What is wrong with the condition of a step beside those. */
function problem(when: string, more = ""): string {
  const text = `name: p\n${ENVIRONMENT}\nparams: { seed: 7 }\nsteps:\n${STEPS}\n  a: { run: x, when: '${when}'${more} }\n`;
  return problemsOf(text).join("\n");
}

test("a condition becomes an expression with the steps that it looks at, which the step then needs", () => {
  const plan = compile(
    `name: p\n${ENVIRONMENT}\nsteps:\n${STEPS}\n  a: { run: x, when: 'steps.score.outputs.m.acc > 0.9 || steps["many"].state == "failed"' }\n`,
  );
  const { when, needs } = plan.steps[2]!;
  assert.deepEqual(when?.steps, ["many"]);
  assert.deepEqual(when?.reads, [{ step: "score", artifact: "m" }]);
  assert.deepEqual(needs.toSorted(), ["many", "score"]);
});

test("a step whose name holds a - is pointed out where its name was read as a difference", () => {
  const steps = "a-b: { run: x }, c-1: { run: x }";
  const wrong = (when: string) => problemsInSteps(`{ ${steps}, z: { run: x, when: '${when}' } }`).join("\n");
  const advice = (step: string) => new RegExp(`a name with a "-" is written in brackets: steps\\["${step}"\\]`);
  assert.match(wrong('steps.a-b.state == "failed"'), /Unknown variable: b/);
  assert.match(wrong('steps.a-b.state == "failed"'), advice("a-b"));
  assert.match(wrong('steps.c-1.state == "failed"'), advice("c-1"));
  assert.doesNotMatch(wrong('steps.a-z.state == "failed"'), /brackets/);
  const right = `{ ${steps}, z: { run: x, when: 'steps["a-b"].state == "failed"' } }`;
  assert.deepEqual(compile(`name: p\n${ENVIRONMENT}\nsteps: ${right}`).steps.at(-1)!.when?.steps, ["a-b"]);
});

test("true and false are conditions too", () => {
  const plan = compile(`name: p\n${ENVIRONMENT}\nsteps: { a: { run: x, when: false } }`);
  assert.equal(plan.steps[0]!.when?.expression, "false");
});

test("a condition that does not parse is shown with its place and a mark under it", () => {
  assert.equal(
    problem('steps.score.state = "failed"'),
    [
      "p.yaml:9:22 steps.a.when: Unexpected character: =",
      '    steps.score.state = "failed"',
      "                      ^",
    ].join("\n"),
  );
});

test("names that are not there are named, with what was meant", () => {
  assert.match(
    problem('steps.scroe.state == "failed"'),
    /there is no step "scroe", did you mean "score"\?\n.*\n {4}\^/,
  );
  assert.match(problem("params.sed > 1"), /there is no parameter "sed", did you mean "seed"/);
  assert.match(problem("matrix.n == 1"), /there is no matrix value "n"/);
  assert.match(problem("steps.score.outputs.n == 1"), /there is no output of "score" "n"/);
  assert.match(problem('steps.score.status == "x"'), /steps\.score has state and outputs, not "status"/);
  assert.match(problem('steps.a.state == "x"'), /a step cannot decide by itself/);
  assert.match(problem("foo == 1"), /Unknown variable: foo/);
  assert.match(problem("size(steps) > 1"), /steps cannot be used as a whole/);
  assert.match(problem('steps[params.seed].state == "x"'), /cannot be used as a whole/);
});

test("what a condition cannot read is said: folders, outputs of many, the end of the run before its end", () => {
  assert.match(problem("steps.score.outputs.dir == 1"), /type folder, which a condition cannot read/);
  assert.match(problem("steps.many.outputs.o == 1"), /"many" runs more than once/);
  assert.match(problem('run.state == "failed"'), /only known to steps of the phases/);
  assert.match(problem('run.stat == "failed"', ", phase: finally"), /run has only a state/);
});

test("a condition is neither a number nor a program that might not end", () => {
  assert.match(problem("1 + 1"), /must be true or false, and this is of type int/);
  assert.match(problem('"aaaa".matches("(a+)+$")'), /matches\(\) is not available in conditions/);
  const nested = "steps.score.outputs.m.l.exists(x, steps.score.outputs.m.l.exists(y, x == y))";
  assert.match(problem(nested), /exists\(\) inside another such call/);
  assert.ok(problem(`${"(".repeat(200)}true${")".repeat(200)}`).length > 0);
  assert.ok(problem(Array.from({ length: 600 }, () => "true").join(" && ")).length > 0);
});

test("phases: a step needs nothing that runs later, and some step runs in any run", () => {
  assert.match(
    problemsInSteps("{ a: { run: x, needs: [z] }, z: { run: x, phase: finally } }").join(),
    /steps\.a: needs "z", which runs later, in the phase finally/,
  );
  assert.match(problemsInSteps("{ z: { run: x, phase: finally } }").join(), /no step is of the phase main/);
  const serial = compile(
    `name: p\n${ENVIRONMENT}\nmode: serial\nsteps: { z: { run: x, phase: finally }, a: { run: x }, y: { run: x, phase: finally }, b: { run: x } }`,
  );
  assert.deepEqual(
    serial.steps.map(({ needs }) => needs),
    [[], [], ["z"], ["a"]],
  );
});

test("whole numbers of parameters can be counted with, and JSON numbers compared", () => {
  const values = { params: { n: 2, f: 0.5, s: "x" }, matrix: {}, steps: {}, run: { state: "failed" } };
  for (const [expression, met] of [
    ["params.n + 1 == 3", true],
    ["params.f < 1", true],
    ["params.n > 1.5", true],
    ['params.s in ["x", "y"]', true],
    ['run.state == "succeeded"', false],
  ] as const) {
    assert.equal(evaluateCondition(expression, values), met, expression);
  }
  assert.throws(() => evaluateCondition("params.n", values), /neither true nor false/);
  assert.throws(() => evaluateCondition('params.s + 1 == "x"', values), /no such overload/);
});
