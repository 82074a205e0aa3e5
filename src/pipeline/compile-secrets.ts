import type { StepSecret } from "../protocol/plan.ts";
import type { Compilation } from "./compilation.ts";
import { quote } from "./problem.ts";
import type { StepSpec } from "./schema.ts";

/** What a step needs of the project's secrets: each once, and no variable that says two things. */
export function compileSecrets(step: string, spec: StepSpec, { problems, file }: Compilation): StepSecret[] {
  const path = ["steps", step, "secrets"];
  const secrets = (spec.secrets ?? []).map((secret) =>
    typeof secret === "string" ? { name: secret, variable: null } : { name: secret.name, variable: secret.env },
  );
  const names = new Set<string>();
  const variables = new Map<string, string>();
  for (const [index, { name, variable }] of secrets.entries()) {
    if (names.has(name)) problems.add([...path, index], `${quote(name)} is named twice`);
    names.add(name);
    if (variable === null) continue;
    const clash =
      variables.get(variable) ??
      (spec.env !== undefined && Object.hasOwn(spec.env, variable) ? "env of the step" : undefined) ??
      (file.env !== undefined && Object.hasOwn(file.env, variable) ? "env of the pipeline" : undefined);
    if (clash !== undefined) problems.add([...path, index, "env"], `${variable} is set by ${clash} already`);
    variables.set(variable, `the secret ${name}`);
  }
  return secrets;
}
