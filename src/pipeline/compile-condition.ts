import type { ArtifactType, Condition } from "../protocol/plan.ts";
import { isCustomType, isOpaque } from "./artifact-type.ts";
import type { Compilation } from "./compilation.ts";
import type { OutputsByStep } from "./compile-links.ts";
import { type ConditionName, checkCondition } from "./condition.ts";
import { quote } from "./problem.ts";
import type { StepSpec } from "./schema.ts";
import { didYouMean } from "./suggest.ts";
import { withCaret } from "./with-caret.ts";

/** Whether a condition can do something with what such an output holds. */
function isReadable(type: ArtifactType): boolean {
  return type !== "folder" && type !== "bytes" && !isOpaque(type) && !isCustomType(type);
}

/** The condition of a step; null when it has none, or a wrong one, which is reported with its place in the text. */
export function compileCondition(
  step: string,
  spec: StepSpec,
  outputs: OutputsByStep,
  compilation: Compilation,
): Condition | null {
  const { when } = spec;
  if (when === undefined) return null;
  const path = ["steps", step, "when"];
  const expression = compilation.textOf(when, path);
  const checked = checkCondition(expression);
  if (!checked.ok) {
    compilation.problems.add(
      path,
      withCaret(expression, checked.message + bracketsHint(expression, compilation), checked.at),
    );
    return null;
  }
  const steps = new Set<string>();
  const reads = new Map<string, Condition["reads"][number]>();
  for (const name of checked.names) {
    const problem = problemOf(step, spec, name, outputs, compilation);
    if (problem !== null) compilation.problems.add(path, withCaret(expression, problem, name.at));
    const [first, member, output] = name.path;
    if (name.scope !== "steps" || first === undefined) continue;
    if (member === "state") steps.add(first);
    else if (output !== undefined) reads.set(`${first}.${output}`, { step: first, artifact: output });
  }
  return { expression, steps: [...steps], reads: [...reads.values()] };
}

/** `steps.a-b.state` is a difference in CEL, which says little to who meant the step `a-b`. */
function bracketsHint(expression: string, { file }: Compilation): string {
  const meant = Object.keys(file.steps).find((name) => name.includes("-") && expression.includes(`steps.${name}`));
  return meant === undefined ? "" : `; a name with a "-" is written in brackets: steps[${quote(meant)}]`;
}

function problemOf(
  step: string,
  spec: StepSpec,
  { scope, path }: ConditionName,
  outputs: OutputsByStep,
  { file, isDamaged }: Compilation,
): string | null {
  const [name] = path;
  if (name === undefined) return `${scope} cannot be used as a whole: name what is meant, such as ${scope}.name`;
  switch (scope) {
    case "params":
      return unknownIn(name, file.params, isDamaged("params", name), "parameter");
    case "matrix":
      return unknownIn(name, spec.matrix, isDamaged("steps", step, "matrix"), "matrix value");
    case "run":
      if (name !== "state") return `run has only a state, not ${quote(name)}`;
      return spec.phase === undefined || spec.phase === "main"
        ? "run.state is only known to steps of the phases on_failure and finally"
        : null;
    case "steps":
      if (name === step) return "a step cannot decide by itself";
      if (isDamaged("steps", name)) return null;
      return unknownIn(name, file.steps, false, "step") ?? problemOfStep(file.steps[name]!, name, path, outputs);
  }
}

function problemOfStep(
  spec: StepSpec,
  step: string,
  [, member, output]: readonly string[],
  outputs: OutputsByStep,
): string | null {
  if (member === "state") return null;
  if (member !== "outputs")
    return `steps.${step} has state and outputs${member === undefined ? "" : `, not ${quote(member)}`}`;
  if (output === undefined) return `name an output of ${quote(step)}: steps.${step}.outputs.name`;
  if (spec.matrix !== undefined || spec.batch !== undefined) {
    return `${quote(step)} runs more than once, so its outputs cannot be used in a condition; join them in a step of their own`;
  }
  const made = outputs.get(step) ?? {};
  const unknown = unknownIn(output, made, false, `output of ${quote(step)}`);
  if (unknown !== null) return unknown;
  const { type } = made[output]!;
  return isReadable(type) ? null : `the output ${quote(output)} is of type ${type}, which a condition cannot read`;
}

function unknownIn(name: string, known: object | undefined, damaged: boolean, what: string): string | null {
  if (damaged || Object.hasOwn(known ?? {}, name)) return null;
  return `there is no ${what} ${quote(name)}${didYouMean(name, Object.keys(known ?? {}))}`;
}
