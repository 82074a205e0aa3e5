import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveConcurrency } from "./concurrency-group.ts";
import { compile, ENVIRONMENT, problemsOf } from "./testing/compile-text.ts";

const REST = `${ENVIRONMENT}\nsteps: { a: { run: "true" } }`;

function withConcurrency(concurrency: string, params = ""): string {
  return `name: p\nconcurrency: ${concurrency}\n${params === "" ? "" : `params: ${params}\n`}${REST}`;
}

test("a group has one place and a queue unless the file says otherwise", () => {
  assert.equal(compile(`name: p\n${REST}`).concurrency, null);
  const one = { group: "deploy", limit: 1, policy: "queue" };
  assert.deepEqual(compile(withConcurrency("deploy")).concurrency, one);
  assert.deepEqual(compile(withConcurrency("{ group: deploy }")).concurrency, one);
  assert.deepEqual(compile(withConcurrency("{ group: deploy, limit: 3, policy: refuse }")).concurrency, {
    ...one,
    limit: 3,
    policy: "refuse",
  });
});

test("a group that cannot be is refused with its place, and a mark under the template that is wrong", () => {
  const problems = (concurrency: string) => problemsOf(withConcurrency(concurrency, "{ target: { type: string } }"));
  assert.deepEqual(problems("{ group: 'to-${{ params.tagret }}' }"), [
    'p.yaml:2:23 concurrency.group: there is no parameter "tagret", did you mean "target"?\n' +
      "    to-${{ params.tagret }}\n" +
      "       ^",
  ]);
  assert.deepEqual(problems("a ${{ params.target }} ${{ run.number }}"), [
    'p.yaml:2:14 concurrency: "run.number" cannot be part of a group\'s name: only params can\n' +
      "    a ${{ params.target }} ${{ run.number }}\n" +
      "                           ^",
  ]);
  assert.match(problems("a ${{ target }}")[0]!, /must read scope\.name.*\n {4}a \$\{\{ target \}\}\n {6}\^$/);
  assert.match(problems('"a ${{ params.target"')[0]!, /is not closed by \}\}.*\n.*\n {6}\^$/);
  assert.deepEqual(problems("' '"), ["p.yaml:2:14 concurrency: is blank: name what the runs have in common"]);
});

test("limits and policies that cannot be are refused with their place", () => {
  const problem = (concurrency: string) => problemsOf(withConcurrency(concurrency))[0];
  const at = (column: number) => `p.yaml:2:${column} concurrency`;
  assert.equal(problem("{ group: g, limit: 0 }"), `${at(33)}.limit: the number 0 is too small; at least 1`);
  assert.equal(problem("{ group: g, limit: 1001 }"), `${at(33)}.limit: the number 1001 is too large; at most 1000`);
  assert.match(problem("{ group: g, limit: 1.5 }")!, /^p\.yaml:2:33 concurrency\.limit: expected a whole number/);
  assert.equal(
    problem("{ group: g, policy: cancel_oldr }"),
    `${at(34)}.policy: the text "cancel_oldr" is not allowed here; choose "queue" or "cancel_older" or "refuse", did you mean "cancel_older"?`,
  );
  assert.equal(problem("{ group: g, limt: 2 }"), `${at(26)}: unknown key "limt", did you mean "limit"?`);
  assert.match(problem("{ limit: 2 }")!, /^p\.yaml:2:1 concurrency\.group: "group" is missing/);
  assert.match(problem("[a]")!, /^p\.yaml:2:14 concurrency: expected a text or a mapping, found a list/);
});

test("the parameters of a run are put into the name of its group, which must say something", () => {
  const { concurrency } = compile(
    withConcurrency("' ${{ params.target }} '", "{ target: { type: string, required: false } }"),
  );
  const resolve = (target: string) => resolveConcurrency({ concurrency }, { target });
  const plain = resolve("prod");
  assert.ok(plain.ok);
  assert.deepEqual(plain.concurrency, { group: "prod", limit: 1, policy: "queue" });
  const template = resolve("${{ params.target }}");
  assert.equal(
    template.ok && template.concurrency?.group,
    "${{ params.target }}",
    "a value is never read as a template",
  );
  for (const [target, why] of [
    ["", /is blank/],
    ["x".repeat(201), /201 characters long; at most 200/],
  ] as const) {
    const bad = resolve(target);
    assert.ok(!bad.ok);
    assert.equal(bad.problems[0]!.path, "concurrency.group");
    assert.match(bad.problems[0]!.message, why);
  }
  assert.ok(!resolveConcurrency({ concurrency }, {}).ok, "a parameter that was not given is the empty text");
});
