import assert from "node:assert/strict";
import { test } from "node:test";
import type { ParamSpec } from "../protocol/plan.ts";
import { parseParamArguments, resolveParams } from "./params.ts";

const spec = (type: ParamSpec["type"], more: Partial<ParamSpec> = {}): ParamSpec => ({
  type,
  default: null,
  required: false,
  description: null,
  choices: null,
  ...more,
});

const PLAN = {
  params: {
    seed: spec("integer", { default: 7 }),
    rate: spec("number", { default: 0.5 }),
    model: spec("string", { required: true, choices: ["forest", "linear"] }),
    dry: spec("boolean"),
  },
};

const resolved = (given: Record<string, unknown>) => {
  const result = resolveParams(PLAN, given);
  return result.ok ? result.params : result.problems.map(({ path, message }) => `${path} ${message}`);
};

test("defaults are filled in, and a parameter that need not be given may be missing", () => {
  assert.deepEqual(resolved({ model: "linear" }), { seed: 7, rate: 0.5, model: "linear" });
  assert.deepEqual(resolved({ model: "linear", seed: 1, dry: false }), {
    seed: 1,
    rate: 0.5,
    model: "linear",
    dry: false,
  });
});

test("everything wrong with the values is said at once", () => {
  assert.deepEqual(resolved({ sed: 1, seed: 1.5, rate: "fast", dry: "yes" }), [
    'params.sed the pipeline has no parameter "sed", did you mean "seed"?',
    "params.seed must be a whole number between -2^53 and 2^53, not 1.5",
    'params.rate must be a number, not "fast"',
    "params.model has no default, so a string must be given",
    'params.dry must be true or false, not "yes"',
  ]);
});

test("values that no environment variable or number can hold are refused", () => {
  for (const seed of [2 ** 53, Number.NaN, "7", null, [1], {}])
    assert.ok(Array.isArray(resolved({ model: "linear", seed })), JSON.stringify(seed));
  for (const rate of [Number.POSITIVE_INFINITY, true])
    assert.ok(Array.isArray(resolved({ model: "linear", rate })), String(rate));
  assert.match(JSON.stringify(resolved({ model: "a\0b" })), /NUL/);
  assert.match(JSON.stringify(resolved({ model: "x".repeat(100_000) })), /is 100000 characters long; at most 32768/);
  assert.match(JSON.stringify(resolved({ model: 7 })), /must be a text, not 7/);
});

test("a choice that is none is refused with the choices", () => {
  assert.deepEqual(resolved({ model: "forst" }), [
    'params.model "forst" is none of the choices "forest", "linear", did you mean "forest"?',
  ]);
});

test("names that objects inherit are no parameters", () => {
  assert.match(JSON.stringify(resolved({ model: "linear", constructor: 1 })), /no parameter \\"constructor\\"/);
  assert.match(
    JSON.stringify(resolved(JSON.parse('{"model": "linear", "__proto__": 1}'))),
    /no parameter \\"__proto__\\"/,
  );
});

test("arguments are read by the types of their parameters", () => {
  assert.deepEqual(parseParamArguments(PLAN, ["seed=-3", "rate=1e-3", "model=a=b", "dry=true"]), {
    ok: true,
    given: { seed: -3, rate: 0.001, model: "a=b", dry: true },
  });
  assert.deepEqual(parseParamArguments(PLAN, ["model="]), { ok: true, given: { model: "" } });
});

test("arguments that cannot be read are refused, all at once", () => {
  const result = parseParamArguments(PLAN, [
    "seed=ten",
    "sed=1",
    "dry=yes",
    "rate=0x10",
    "dry=true",
    "rate=1",
    "rate=2",
    "model",
    "=x",
  ]);
  assert.ok(!result.ok);
  assert.deepEqual(
    result.problems.map(({ path, message }) => `${path} ${message}`),
    [
      'params.seed must be a whole number between -2^53 and 2^53, not "ten"',
      'params.sed the pipeline has no parameter "sed", did you mean "seed"?',
      'params.dry must be true or false, not "yes"',
      'params.rate must be a number, not "0x10"',
      "params.dry is given more than once",
      "params.rate is given more than once",
      "params.rate is given more than once",
      ' "model" must read name=value',
      ' "=x" must read name=value',
    ],
  );
});

test("a pipeline without parameters says so", () => {
  assert.match(JSON.stringify(resolveParams({ params: {} }, { x: 1 })), /the pipeline has no parameters/);
});
