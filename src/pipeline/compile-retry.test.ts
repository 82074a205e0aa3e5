import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_RETRY } from "../protocol/plan.ts";
import { compile, ENVIRONMENT, problemsInSteps, problemsOf } from "./testing/compile-text.ts";

function policies(pipeline: string, steps: string) {
  const plan = compile(`name: p\n${ENVIRONMENT}\n${pipeline}\nsteps: ${steps}`);
  return plan.steps.map(({ retry }) => retry);
}

test("a step's policy goes over the pipeline's, and that over the defaults, key by key", () => {
  assert.deepEqual(
    policies(
      "retry: { max: 5, delay: 2s, backoff: fixed }",
      "{ a: { run: x }, b: { run: x, retry: { max: 0, on: [oom] } } }",
    ),
    [
      { ...DEFAULT_RETRY, max: 5, delayMs: 2000, backoff: "fixed" },
      { ...DEFAULT_RETRY, max: 0, delayMs: 2000, backoff: "fixed", on: ["oom"] },
    ],
  );
  assert.deepEqual(policies("", "{ a: { run: x, retry: 7 } }"), [{ ...DEFAULT_RETRY, max: 7 }]);
});

test("a pause may be none, and one above the default limit is its own limit", () => {
  const [none, long] = policies("", "{ a: { run: x, retry: { delay: 0s } }, b: { run: x, retry: { delay: 10m } } }");
  assert.equal(none?.delayMs, 0);
  assert.deepEqual([long?.delayMs, long?.maxDelayMs], [600_000, 600_000]);
});

test("a policy with impossible values is refused where it stands", () => {
  const step = (retry: string) => problemsInSteps(`{ a: { run: x, resources: { memory: 2GiB }, retry: ${retry} } }`);
  assert.match(step("{ max: -1 }").join(), /steps\.a\.retry\.max: the number -1 is too small/);
  assert.match(step("{ max: 1000 }").join(), /too large/);
  assert.match(step("{ delay: 10s, maxDelay: 5s }").join(), /retry\.maxDelay: is shorter than the delay/);
  assert.match(step("{ delay: soon }").join(), /must be a duration/);
  assert.match(step("{ maxMemory: 1GiB }").join(), /retry\.maxMemory: is less than resources\.memory \(2GiB\)/);
  assert.match(step("{ on: [aplication] }").join(), /no fault class or code "aplication", did you mean "application"/);
  assert.match(step("{ on: [oom, oom] }").join(), /retry\.on\[1\]: "oom" is listed twice/);
  assert.match(step("{ on: [business] }").join(), /"business" is never tried again/);
  assert.match(step("{ on: [image-not-found] }").join(), /"image-not-found" is never tried again/);
  assert.match(step("{ on: [] }").join(), /retry\.on/);
  assert.match(step("{ backof: fixed }").join(), /unknown key "backof", did you mean "backoff"/);
  const ofPipeline = problemsOf(
    `name: p\n${ENVIRONMENT}\nretry: { on: [cancelled] }\nsteps: { a: { run: x }, b: { run: x } }`,
  );
  assert.equal(ofPipeline.length, 1);
  assert.match(ofPipeline[0]!, /retry\.on\[0\]: "cancelled" is never tried again/);
});
