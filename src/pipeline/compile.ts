import type { Problem } from "../protocol/errors.ts";
import type { Plan, StepPlan } from "../protocol/plan.ts";
import type { ScheduleDefinition } from "../protocol/schedules.ts";
import { checkShape } from "./check-shape.ts";
import { checkTemplates } from "./check-templates.ts";
import { type Compilation, newCompilation } from "./compilation.ts";
import { compileConcurrency } from "./compile-concurrency.ts";
import { compileEnvironments } from "./compile-environments.ts";
import { checkCombinations } from "./compile-matrix.ts";
import { checkCycles, checkPhases, checkSerialOrder } from "./compile-needs.ts";
import { compileOutputs } from "./compile-outputs.ts";
import { compileParams } from "./compile-params.ts";
import { compileRetention } from "./compile-retention.ts";
import { checkPipelineRetry } from "./compile-retry.ts";
import { compileSchedules } from "./compile-schedules.ts";
import { compileStep } from "./compile-step.ts";
import { readDocument } from "./document.ts";
import { ProblemList } from "./problem-list.ts";
import { durationOf } from "./quantity.ts";
import type { StepSpec } from "./schema.ts";

export type CompileResult =
  | { readonly ok: true; readonly plan: Plan; readonly schedules: ScheduleDefinition[]; readonly warnings: Problem[] }
  | { readonly ok: false; readonly problems: Problem[] };

export interface CompileOptions {
  /** Of the file, for advice on what its pipeline may be called. */
  readonly fileName?: string;
  /** Looks a path up in the folder of the file; without it, nothing is said of the files that environments name. */
  readonly kindOf?: (path: string) => "file" | "folder" | "nothing";
}

/**
 * Compiles a pipeline file, YAML or JSON, to its plan, or says everything that is wrong with it, with positions.
 * Any text whatsoever gives a result: it never throws, and its time is linear in the text.
 */
export function compilePipeline(text: string, options: CompileOptions = {}): CompileResult {
  const read = readDocument(text);
  if (!read.ok) return read;
  const problems = new ProblemList(read.document);
  const warnings = new ProblemList(read.document);
  const shape = checkShape(read.document, problems, options.fileName);
  if (shape === null) return { ok: false, problems: problems.toArray() };
  const compilation = newCompilation(shape, read.document, problems, warnings, options.kindOf);
  const plan = compilePlan(compilation);
  const schedules = compileSchedules(plan.params, compilation);
  if (!problems.isEmpty) return { ok: false, problems: problems.toArray() };
  return { ok: true, plan, schedules, warnings: warnings.toArray() };
}

/** Of no use to anyone once a problem was reported. */
function compilePlan(compilation: Compilation): Plan {
  const { file } = compilation;
  const mode = file.mode ?? "parallel";
  const params = compileParams(compilation);
  const concurrency = compileConcurrency(compilation);
  const environments = compileEnvironments(compilation);
  const env = compilePipelineEnv(compilation);
  checkPipelineRetry(compilation);
  const specs = Object.entries(file.steps);
  const outputs = new Map(specs.map(([name, spec]) => [name, compileOutputs(name, spec, compilation)]));
  const expandMatrix = checkCombinations(compilation);
  /** The last step so far, by phase. */
  const newest = new Map<StepSpec["phase"], string>();
  const steps: StepPlan[] = specs.map(([name, spec]) => {
    const previous = mode === "serial" ? (newest.get(spec.phase) ?? null) : null;
    newest.set(spec.phase, name);
    return compileStep(name, spec, { environments, outputs, previous, expandMatrix }, compilation);
  });
  checkPhases(steps, compilation);
  if (!steps.some(({ phase }) => phase === "main")) {
    const message = "no step is of the phase main: leave out `phase` of the steps that do the work";
    compilation.problems.add(["steps"], message, "entry");
  }
  if (mode === "serial") checkSerialOrder(steps, compilation);
  else checkCycles(steps, compilation);
  return {
    schema: 1,
    priority: file.priority ?? 0,
    concurrency,
    name: file.name,
    description: file.description ?? null,
    params,
    mode,
    timeoutMs: durationOf(file.timeout),
    queueTimeoutMs: durationOf(file.queueTimeout),
    failFast: file.fail_fast ?? false,
    ...(file.retention === undefined ? {} : { retention: compileRetention(file.retention) }),
    env,
    environments: environments.used(),
    worker: {
      pool: file.worker?.pool ?? "default",
      labels: file.worker?.labels ?? [],
      backend: file.worker?.backend ?? null,
    },
    steps,
  };
}

function compilePipelineEnv(compilation: Compilation): Record<string, string> {
  const env = compilation.textsOf(compilation.file.env, ["env"]);
  const names = { params: Object.keys(compilation.file.params ?? {}) };
  for (const [name, value] of Object.entries(env)) {
    const known = { names, isDamaged: ({ name: param }: { name: string }) => compilation.isDamaged("params", param) };
    checkTemplates(value, ["env", name], known, compilation);
  }
  return env;
}
