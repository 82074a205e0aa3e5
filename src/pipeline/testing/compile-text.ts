import assert from "node:assert/strict";
import type { Plan } from "../../protocol/plan.ts";
import { compilePipeline } from "../compile.ts";
import { formatProblem } from "../problem.ts";

/** An environment for files that are about something else. */
export const ENVIRONMENT = "environment: { image: debian }";

export function compile(text: string): Plan {
  const result = compilePipeline(text);
  assert.ok(result.ok, result.ok ? "" : result.problems.map((problem) => formatProblem("p.yaml", problem)).join("\n"));
  return result.plan;
}

/** Everything wrong with a file, as people read it. */
export function problemsOf(text: string): string[] {
  const result = compilePipeline(text);
  assert.ok(!result.ok, "the file was accepted");
  return result.problems.map((problem) => formatProblem("p.yaml", problem));
}

/** The same for the steps alone, without positions. */
export function problemsInSteps(steps: string, head = ""): string[] {
  const text = `name: p\n${ENVIRONMENT}\n${head}\nsteps: ${steps}`;
  return problemsOf(text).map((line) => line.replace(/^p\.yaml:\d+:\d+ ?/, ""));
}

export function warningsOf(text: string): string[] {
  const result = compilePipeline(text);
  assert.ok(result.ok);
  return result.warnings.map((problem) => formatProblem("p.yaml", problem));
}
