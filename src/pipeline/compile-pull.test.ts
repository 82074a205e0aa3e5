import assert from "node:assert/strict";
import { test } from "node:test";
import { compilePipeline } from "./compile.ts";
import { problemsOf } from "./testing/compile-text.ts";

const fileWith = (environment: string) => `name: p\nenvironment: ${environment}\nsteps: { a: { run: x } }\n`;

test("a plan says when a registry is asked; without it, or with the default, the plan is what it always was", () => {
  const pulls = (environment: string) => {
    const compiled = compilePipeline(fileWith(environment));
    assert.ok(compiled.ok, JSON.stringify(compiled));
    return compiled.plan.environments.default;
  };
  assert.deepEqual(pulls("{ image: tool, pull: missing }"), pulls("{ image: tool }"));
  assert.equal(pulls("{ image: tool, pull: always }")?.pull, "always");
  assert.equal(pulls("{ base: tool, pull: never }")?.pull, "never");
  assert.equal(pulls("{ dockerfile: Dockerfile, pull: always }")?.pull, "always");
});

test("a policy that is none, and one that a Dockerfile cannot keep, are refused where they stand", () => {
  assert.match(problemsOf(fileWith("{ image: tool, pull: newer }")).join("\n"), /^p\.yaml:2:35 environment\.pull: /);
  assert.deepEqual(problemsOf(fileWith("{ dockerfile: Dockerfile, pull: never }")), [
    'p.yaml:2:46 environment.pull: "never" goes with base or image: what a Dockerfile starts from is not known',
  ]);
});
