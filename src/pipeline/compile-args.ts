import type { FunctionArgs } from "../protocol/plan.ts";
import { checkTemplates, type Known } from "./check-templates.ts";
import type { Compilation } from "./compilation.ts";
import { BATCH_INPUT } from "./compile-links.ts";
import { quote } from "./problem.ts";
import type { StepSpec } from "./schema.ts";

/** What a function gets beside inputs, parameters and matrix values; nothing where there is nothing. */
export function compileArgs(
  step: string,
  spec: StepSpec,
  known: Known,
  compilation: Compilation,
): { readonly args?: FunctionArgs } {
  if (spec.args === undefined) return {};
  const path = ["steps", step, "args"];
  if (spec.python === undefined && spec.typescript === undefined) {
    compilation.problems.add(
      path,
      `${quote("args")} goes with python and typescript: use env, or arguments of the command`,
    );
  }
  for (const [name, value] of Object.entries(spec.args)) {
    if (name === BATCH_INPUT || Object.hasOwn(spec.inputs ?? {}, name)) {
      compilation.problems.add([...path, name], `${quote(name)} is an input of the step: choose another name`, "entry");
    }
    for (const [index, text] of (Array.isArray(value) ? value : [value]).entries()) {
      const at = Array.isArray(value) ? [...path, name, index] : [...path, name];
      if (typeof text === "string") checkTemplates(text, at, known, compilation);
    }
  }
  return Object.keys(spec.args).length === 0 ? {} : { args: spec.args };
}
