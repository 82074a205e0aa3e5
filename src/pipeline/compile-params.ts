import type { Scalar } from "../protocol/names.ts";
import type { ParamSpec as ParamPlan } from "../protocol/plan.ts";
import type { Compilation } from "./compilation.ts";
import { checkParam } from "./params.ts";
import type { Path } from "./problem.ts";
import type { ParamSpec } from "./schema.ts";

type ParamType = ParamPlan["type"];

export function compileParams(compilation: Compilation): Record<string, ParamPlan> {
  const params: Record<string, ParamPlan> = {};
  for (const [name, spec] of Object.entries(compilation.file.params ?? {})) {
    const path = ["params", name];
    params[name] =
      typeof spec === "object" ? compileParam(spec, path, compilation) : shortForm(spec, path, compilation);
  }
  compilation.checkVariables("params", Object.keys(params), ["params"]);
  return params;
}

/** `seed: 7` */
function shortForm(value: Scalar, path: Path, compilation: Compilation): ParamPlan {
  const type = typeOf(value, compilation.sourceOf(path));
  checkValue(value, type, path, compilation);
  return { type, default: value, required: false, description: null, choices: null };
}

function compileParam(spec: ParamSpec, path: Path, compilation: Compilation): ParamPlan {
  const { problems } = compilation;
  const example = spec.default ?? spec.choices?.[0];
  const examplePath = spec.default === undefined ? [...path, "choices", 0] : [...path, "default"];
  const type = spec.type ?? (example === undefined ? null : typeOf(example, compilation.sourceOf(examplePath)));
  if (type === null && !["type", "default", "choices"].some((key) => compilation.isDamaged(...path, key))) {
    problems.add(path, 'needs a "type", or a "default" that shows it');
  }
  const known = type ?? "string";
  if (spec.default !== undefined) checkValue(spec.default, known, [...path, "default"], compilation);
  const choices = spec.choices ?? null;
  choices?.forEach((choice, index) => {
    const choicePath = [...path, "choices", index];
    checkValue(choice, known, choicePath, compilation);
    if (choices.indexOf(choice) !== index) problems.add(choicePath, `${JSON.stringify(choice)} is listed twice`);
  });
  if (spec.required === true && spec.default !== undefined) {
    problems.add([...path, "required"], "a parameter with a default is never required: remove one of the two");
  }
  if (spec.default !== undefined && choices !== null && !choices.includes(spec.default)) {
    problems.add([...path, "default"], "the default is none of the choices");
  }
  return {
    type: known,
    default: spec.default ?? null,
    required: spec.default === undefined && (spec.required ?? true),
    description: spec.description ?? null,
    choices,
  };
}

function checkValue(value: Scalar, type: ParamType, path: Path, compilation: Compilation): void {
  const complaint = checkParam(value, type);
  if (complaint !== null) compilation.problems.add(path, complaint);
}

/** `1.0` is written as a number, although it equals a whole one. */
function typeOf(value: Scalar, source: string | null): ParamType {
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "boolean";
  return Number.isInteger(value) && !/[.eE]/.test(source ?? "") ? "integer" : "number";
}
