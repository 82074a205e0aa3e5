import assert from "node:assert/strict";
import { test } from "node:test";
import { compilePipeline } from "./compile.ts";
import { stepVariables, withVariables } from "./step-variables.ts";

const FILE = `
name: levels
env: { A: pipeline, B: pipeline, C: pipeline, Z: "\${{ params.x }}" }
params: { x: 1 }
environment: { image: busybox, env: { A: environment, B: environment } }
steps: { one: { run: env, env: { A: step } } }
`;

test("the step's value wins over its environment's, the pipeline's and the project's, and each says what it overrides", () => {
  const compiled = compilePipeline(FILE);
  assert.ok(compiled.ok);
  const { plan } = compiled;
  const project = { A: "project", C: "project", D: "project" };
  const shown = stepVariables(plan, plan.steps[0]!, project);
  assert.deepEqual(
    shown.map(({ name, value, from, overrides }) => [name, value, from, overrides.map((one) => one.value)]),
    [
      ["A", "step", "step", ["environment", "pipeline", "project"]],
      ["B", "environment", "environment", ["pipeline"]],
      ["C", "pipeline", "pipeline", ["project"]],
      ["D", "project", "project", []],
      ["Z", "${{ params.x }}", "pipeline", []],
    ],
  );
  const followed = withVariables(plan, project);
  assert.deepEqual([followed.env.A, followed.env.C, followed.env.D], ["pipeline", "pipeline", "project"]);
});
