import { posix } from "node:path";
import type { Action, Environment, StepPlan } from "../protocol/plan.ts";
import type { Compilation } from "./compilation.ts";
import { quote } from "./problem.ts";

/** What Node runs; without one of these the module is a package. */
const ENDINGS = [".ts", ".mts", ".cts", ".js", ".mjs", ".cjs"];

/** The function of a `typescript:` step. Says what would only show when the step has started. */
export function compileTypescript(
  step: string,
  target: string,
  environment: Environment | null,
  { problems, kindOf }: Compilation,
): Action {
  const [written, name] = target.split(":") as [string, string];
  const module = written.replace(/^\.\//, "");
  const path = ["steps", step, "typescript"];
  const ending = posix.extname(module);
  if (ending === ".py") {
    const dotted = module.slice(0, -ending.length).replaceAll("/", ".");
    problems.add(path, `${quote(module)} is a Python file: write python: ${dotted}:${name}`);
  } else if (ending === ".tsx" || ending === ".jsx") {
    problems.add(path, `Node does not run ${ending} files: put the function into a ${ending.slice(0, -1)} file`);
  } else if (kindOf !== undefined && environment !== null && environment.kind !== "dockerfile") {
    // Of a Dockerfile nobody knows what it puts where; without a source the module is part of the image.
    if (environment.source !== null) checkModule(environment.source);
  }
  return { kind: "typescript", module, function: name };

  function checkModule(source: string): void {
    const at = (file: string) => posix.join(source, file);
    const isFile = (file: string) => kindOf!(at(file)) === "file";
    if (isFile(module)) return;
    const bare = ENDINGS.includes(ending) ? module.slice(0, -ending.length) : module;
    const other = ENDINGS.map((each) => bare + each).find(isFile);
    if (other !== undefined) {
      problems.add(path, `there is no file ${quote(at(module))}, did you mean ${quote(`${other}:${name}`)}?`);
    } else if (written !== module || ending.endsWith("ts")) {
      // Node refuses TypeScript inside of packages, so it must be a file of the source.
      problems.add(path, `there is no file ${quote(at(module))} in the folder of the pipeline file`);
    }
  }
}

/** Only Python reads what Python has pickled. */
export function checkTypescriptTypes(
  step: string,
  { inputs, outputs }: Pick<StepPlan, "inputs" | "outputs">,
  { problems }: Compilation,
): void {
  for (const [name, { type }] of Object.entries(inputs)) {
    if (type !== "pickle") continue;
    const advice = "let the step before write json, csv, npy or parquet, or take it as a path with type: file";
    problems.add(["steps", step, "inputs", name], `a typescript step cannot read the type pickle: ${advice}`);
  }
  for (const [name, { type }] of Object.entries(outputs)) {
    if (type !== "pickle") continue;
    const advice = "choose json, text, bytes, csv, npy or parquet";
    problems.add(["steps", step, "outputs", name], `a typescript step cannot write the type pickle: ${advice}`);
  }
}
