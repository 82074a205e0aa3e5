import assert from "node:assert/strict";
import { test } from "node:test";
import { cacheComponents } from "./cache-key.ts";
import { compile, ENVIRONMENT, problemsInSteps, problemsOf } from "./testing/compile-text.ts";

test("a step's secrets are files by name, or variables", () => {
  const plan = compile(
    `name: p\n${ENVIRONMENT}\nsteps: { a: { run: x, secrets: [KEY, { name: token, env: API_TOKEN }] }, b: { run: x } }`,
  );
  assert.deepEqual(
    plan.steps.map(({ secrets }) => secrets),
    [
      [
        { name: "KEY", variable: null },
        { name: "token", variable: "API_TOKEN" },
      ],
      undefined,
    ],
  );
});

test("secrets that could not be had as they are asked for are refused where they stand", () => {
  const secrets = (list: string, more = "") => problemsInSteps(`{ a: { run: x, secrets: ${list}${more} } }`).join();
  assert.match(secrets("[KEY, KEY]"), /steps\.a\.secrets\[1\]: "KEY" is named twice/);
  assert.match(
    secrets("[{ name: A, env: T }, { name: B, env: T }]"),
    /secrets\[1\]\.env: T is set by the secret A already/,
  );
  assert.match(secrets("[{ name: A, env: T }]", ", env: { T: x }"), /secrets\[0\]\.env: T is set by env of the step/);
  assert.match(secrets("[my-key]"), /secrets\[0\]: "my-key": a secret's name holds at most 128 letters/);
  assert.match(secrets("[{ name: A, env: BERTH_X }]"), /names that start with BERTH_ are reserved/);
  assert.match(secrets("[{ name: A }]"), /secrets\[0\]/);
  assert.match(secrets("[{ name: A, evn: B }]"), /evn/);
  assert.match(
    problemsOf(
      `name: p\nenv: { T: x }\n${ENVIRONMENT}\nsteps: { a: { run: x, secrets: [{ name: A, env: T }] } }`,
    ).join(),
    /T is set by env of the pipeline already/,
  );
});

test("which secrets a step gets is part of what its result is found by, and their values are not", () => {
  const componentsOf = (secrets: string) => {
    const plan = compile(`name: p\n${ENVIRONMENT}\nsteps: { a: { run: x, cache: true${secrets} } }`);
    const facts = { plan, step: plan.steps[0]!, matrix: null, params: {}, source: null, image: null, inputs: {} };
    return cacheComponents({ ...facts, share: null });
  };
  assert.equal(componentsOf("").secrets, undefined);
  assert.notEqual(componentsOf(", secrets: [A]").secrets, componentsOf(", secrets: [B]").secrets);
});
