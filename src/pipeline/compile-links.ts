import type { ArtifactType, BatchPlan, Gather, InputPlan, OutputPlan } from "../protocol/plan.ts";
import { isCustomType, isOpaque } from "./artifact-type.ts";
import type { Compilation } from "./compilation.ts";
import { type Path, quote } from "./problem.ts";
import { BATCH_PARALLEL_MAX, type InputSpec, type StepSpec } from "./schema.ts";
import { didYouMean } from "./suggest.ts";

/** The name under which a batch item finds its part of the input. */
export const BATCH_INPUT = "batch";

export type OutputsByStep = ReadonlyMap<string, Readonly<Record<string, OutputPlan>>>;

/** The type that a joined input has. */
const TYPE_OF_GATHER = { folder: "folder", lines: "text", csv: "csv", json: "json" } as const;

export function compileInputs(
  step: string,
  spec: StepSpec,
  outputs: OutputsByStep,
  compilation: Compilation,
): Record<string, InputPlan> {
  const inputs: Record<string, InputPlan> = {};
  for (const [name, input] of Object.entries(spec.inputs ?? {})) {
    const path = ["steps", step, "inputs", name];
    if (name === BATCH_INPUT && spec.batch !== undefined) {
      compilation.problems.add(path, `the name ${quote(name)} is taken by the part of the batch`, "entry");
    }
    const plan = compileInput(step, input, path, outputs, compilation);
    if (plan !== null) inputs[name] = plan;
  }
  const names = Object.keys(spec.inputs ?? {});
  compilation.checkVariables("inputs", names, ["steps", step, "inputs"]);
  return inputs;
}

function compileInput(
  step: string,
  spec: InputSpec,
  path: Path,
  outputs: OutputsByStep,
  compilation: Compilation,
): InputPlan | null {
  const { from, gather, type } = typeof spec === "string" ? { from: spec } : spec;
  const fromPath = typeof spec === "string" ? path : [...path, "from"];
  const source = findOutput(step, from, fromPath, outputs, compilation);
  if (source === null) return null;
  const { type: written } = source.output;
  if (!isMany(compilation.file.steps[source.step]!)) {
    checkReadable(from, written, type, path, compilation);
    if (gather !== undefined) {
      const message = `${quote(source.step)} has neither batch nor matrix, so there is nothing to gather`;
      compilation.problems.add([...path, "gather"], message);
    }
    return { step: source.step, artifact: source.artifact, gather: "single", type: type ?? written };
  }
  const chosen = gather ?? "folder";
  if (chosen !== "folder" && (written === "folder" || isOpaque(written))) {
    const what = written === "folder" ? "folders" : `${written} files`;
    compilation.problems.add([...path, "gather"], `${quote(from)} holds ${what}, which can only be gathered as folder`);
  }
  checkReadable(`${from} gathered as ${chosen}`, TYPE_OF_GATHER[chosen], type, path, compilation);
  return { step: source.step, artifact: source.artifact, gather: chosen, type: type ?? TYPE_OF_GATHER[chosen] };
}

/** A folder is only read as a folder; `file` hands over the path of either, and own types may be either. */
function checkReadable(
  what: string,
  written: ArtifactType,
  type: ArtifactType | undefined,
  path: Path,
  { problems }: Compilation,
): void {
  const isFolder = written === "folder";
  if (type === undefined || type === "file" || isFolder === (type === "folder")) return;
  if (isCustomType(written) || isCustomType(type)) return;
  problems.add([...path, "type"], `${quote(what)} is a ${isFolder ? "folder" : "file"} and cannot be read as ${type}`);
}

export function compileBatch(
  step: string,
  spec: StepSpec,
  outputs: OutputsByStep,
  compilation: Compilation,
): BatchPlan | null {
  if (spec.batch === undefined) return null;
  const { over, format = "auto", size = 1, parallel = BATCH_PARALLEL_MAX } = spec.batch;
  const path = ["steps", step, "batch"];
  const source = findOutput(step, over, [...path, "over"], outputs, compilation);
  if (source === null) return null;
  const many = isMany(compilation.file.steps[source.step]!);
  const problem = splitProblem(source.output.type, format, many);
  if (problem !== null) compilation.problems.add([...path, problem.key], `${quote(over)} ${problem.message}`);
  // The outputs of many step runs are joined first, in the way that the format then splits them.
  const gather: Gather = !many ? "single" : format === "auto" || format === "files" ? "folder" : format;
  return { step: source.step, artifact: source.artifact, gather, format, size, parallel };
}

function splitProblem(
  type: ArtifactType,
  format: BatchPlan["format"],
  many: boolean,
): { readonly key: "over" | "format"; readonly message: string } | null {
  if (type === "folder") {
    if (format === "auto" || format === "files") return null;
    return { key: "format", message: "is a folder, which is split by files only" };
  }
  const byFiles = format === "files" || (many && format === "auto");
  if (isOpaque(type) && !byFiles) {
    return { key: "over", message: `is of type ${type}, which cannot be split: write csv, json, lines or a folder` };
  }
  if (isCustomType(type)) {
    if (many || format !== "auto") return null;
    return { key: "over", message: `is of type ${type}: say by \`format\` how it is split` };
  }
  if (many || format !== "files") return null;
  return { key: "format", message: "is a file: split it by lines, csv or json" };
}

/** Whether a step runs more than once in a run. */
function isMany(step: StepSpec): boolean {
  return step.matrix !== undefined || step.batch !== undefined;
}

/** The output behind `step.output`; null when it is not there, which has then been reported. */
function findOutput(
  consumer: string,
  reference: string,
  path: Path,
  outputs: OutputsByStep,
  { problems, isDamaged }: Compilation,
): { step: string; artifact: string; output: OutputPlan } | null {
  const [step, artifact] = reference.split(".") as [string, string];
  if (step === consumer) {
    problems.add(path, "a step cannot read its own output");
    return null;
  }
  const made = outputs.get(step);
  if (made === undefined) {
    if (!isDamaged("steps", step)) {
      problems.add(path, () => `there is no step ${quote(step)}${didYouMean(step, outputs.keys())}`);
    }
    return null;
  }
  if (!Object.hasOwn(made, artifact)) {
    const names = Object.keys(made);
    const rest = () =>
      didYouMean(artifact, names) ||
      (names.length === 0 ? "; it has none" : `; it has ${names.slice(0, 10).join(", ")}`);
    if (!isDamaged("steps", step, "outputs")) {
      problems.add(path, () => `the step ${quote(step)} has no output ${quote(artifact)}${rest()}`);
    }
    return null;
  }
  return { step, artifact, output: made[artifact]! };
}
