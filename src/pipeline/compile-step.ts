import type { Action, Environment, StepPlan } from "../protocol/plan.ts";
import { checkTemplates, type Known, warnOfSingleQuotes } from "./check-templates.ts";
import type { Compilation } from "./compilation.ts";
import { compileArgs } from "./compile-args.ts";
import { compileCondition } from "./compile-condition.ts";
import type { Environments } from "./compile-environments.ts";
import { compileIsolation } from "./compile-isolation.ts";
import { BATCH_INPUT, compileBatch, compileInputs, type OutputsByStep } from "./compile-links.ts";
import { compileMatrix } from "./compile-matrix.ts";
import { compileNeeds } from "./compile-needs.ts";
import { compileRetry } from "./compile-retry.ts";
import { compileSecrets } from "./compile-secrets.ts";
import { checkTypescriptTypes, compileTypescript } from "./compile-typescript.ts";
import { durationOf, parseMemory } from "./quantity.ts";
import type { StepSpec } from "./schema.ts";
import { FIXED_NAMES } from "./template.ts";

/** What a step's definition refers to. */
export interface StepSurroundings {
  readonly environments: Environments;
  readonly outputs: OutputsByStep;
  /** The step above, which this one follows in serial mode. */
  readonly previous: string | null;
  /** False when all combinations together are too many to be made. */
  readonly expandMatrix: boolean;
}

export function compileStep(
  name: string,
  spec: StepSpec,
  { environments, outputs, previous, expandMatrix }: StepSurroundings,
  compilation: Compilation,
): StepPlan {
  const path = ["steps", name];
  const inputs = compileInputs(name, spec, outputs, compilation);
  const batch = compileBatch(name, spec, outputs, compilation);
  const env = compilation.textsOf(spec.env, [...path, "env"]);
  const environment = environments.choose(name, spec);
  const known = templateNames(name, spec, compilation);
  const args = compileArgs(name, spec, known, compilation);
  const action = compileAction(name, spec, args, environments.get(environment), compilation);
  checkStepTemplates(name, spec, env, known, compilation);
  const when = compileCondition(name, spec, outputs, compilation);
  const secrets = compileSecrets(name, spec, compilation);
  const plan = {
    name,
    needs: compileNeeds(name, { inputs, batch, when }, previous, compilation),
    matrix: compileMatrix(name, spec, expandMatrix, compilation),
    batch,
    env,
    ...(secrets.length === 0 ? {} : { secrets }),
    inputs,
    outputs: outputs.get(name) ?? {},
    resources: compileResources(spec),
    retry: compileRetry(name, spec, compilation),
    cache: compileCache(name, spec, compilation),
    phase: spec.phase ?? "main",
    when,
    allowFailure: spec.allow_failure ?? false,
    failFast: spec.fail_fast ?? null,
    ...compileIsolation(name, spec, compilation),
  };
  if (spec.typescript !== undefined) checkTypescriptTypes(name, plan, compilation);
  // A step without environment or action cannot run, but its place in the graph is checked all the same.
  return { ...plan, environment: environment ?? name, action: action ?? { kind: "shell", script: ":" } };
}

const ACTIONS = ["run", "command", "python", "typescript"] as const;

function compileAction(
  step: string,
  spec: StepSpec,
  args: ReturnType<typeof compileArgs>,
  environment: Environment | null,
  compilation: Compilation,
): Action | null {
  const path = ["steps", step];
  const given = ACTIONS.filter((key) => spec[key] !== undefined);
  if (given.length !== 1) {
    if (given.length > 1)
      compilation.problems.add([...path, given[1]!], `has ${given.join(" and ")}: choose one`, "entry");
    else if (!ACTIONS.some((key) => compilation.isDamaged(...path, key))) {
      compilation.problems.add(path, "needs one of run, command, python and typescript", "entry");
    }
    return null;
  }
  if (spec.run !== undefined) return { kind: "shell", script: spec.run };
  if (spec.command !== undefined) {
    const argv = spec.command.map((argument, index) => compilation.textOf(argument, [...path, "command", index]));
    if (argv[0] === "") compilation.problems.add([...path, "command", 0], "the program's name is empty");
    return { kind: "command", argv };
  }
  if (spec.typescript !== undefined) {
    return { ...compileTypescript(step, spec.typescript, environment, compilation), ...args };
  }
  const [module, name] = spec.python!.split(":") as [string, string];
  return { kind: "python", module, function: name, ...args };
}

function templateNames(step: string, spec: StepSpec, { file, isDamaged }: Compilation): Known {
  const outputs = spec.outputs === undefined ? undefined : outputNames(spec.outputs);
  const inputs = [...Object.keys(spec.inputs ?? {}), ...(spec.batch === undefined ? [] : [BATCH_INPUT])];
  return {
    names: {
      params: Object.keys(file.params ?? {}),
      ...(spec.matrix === undefined ? {} : { matrix: Object.keys(spec.matrix) }),
      ...(inputs.length === 0 ? {} : { inputs }),
      ...(outputs === undefined ? {} : { outputs }),
      ...(spec.batch === undefined ? {} : { batch: FIXED_NAMES.batch }),
    },
    isDamaged: ({ scope, name }) => (scope === "params" ? isDamaged("params", name) : isDamaged("steps", step, scope)),
  };
}

function outputNames(outputs: NonNullable<StepSpec["outputs"]>): string[] {
  return Array.isArray(outputs)
    ? outputs.map((path) => /([^/.]+)[^/]*\/?$/.exec(path)?.[1] ?? "")
    : Object.keys(outputs);
}

function checkStepTemplates(
  step: string,
  spec: StepSpec,
  env: Readonly<Record<string, string>>,
  known: Known,
  compilation: Compilation,
): void {
  const path = ["steps", step];
  if (spec.run !== undefined) {
    checkTemplates(spec.run, [...path, "run"], known, compilation);
    warnOfSingleQuotes(spec.run, [...path, "run"], compilation);
  }
  for (const [index, argument] of (spec.command ?? []).entries()) {
    if (typeof argument === "string") checkTemplates(argument, [...path, "command", index], known, compilation);
  }
  for (const [name, value] of Object.entries(env)) checkTemplates(value, [...path, "env", name], known, compilation);
}

function compileCache(name: string, { cache = false, phase }: StepSpec, { problems }: Compilation): StepPlan["cache"] {
  if (cache === false) return null;
  if (phase !== undefined && phase !== "main") {
    problems.add(["steps", name, "cache"], `steps of phase ${phase} depend on how the run ended: they always run`);
  }
  const { key = null, ttl } = cache === true ? {} : cache;
  return { key, ttlMs: durationOf(ttl) };
}

function rates({ read, write }: { readonly read?: string | undefined; readonly write?: string | undefined }) {
  const rate = (text: string | undefined) => (text === undefined ? null : parseMemory(text));
  return { readBytesPerSecond: rate(read), writeBytesPerSecond: rate(write) };
}

function compileResources({ resources = {} }: StepSpec): StepPlan["resources"] {
  return {
    cpu: resources.cpu ?? null,
    memoryBytes: resources.memory === undefined ? null : parseMemory(resources.memory),
    ...(resources.gpu ? { gpus: resources.gpu } : {}),
    ...(resources.disk === undefined ? {} : { diskBytes: parseMemory(resources.disk) }),
    ...(resources.io === undefined ? {} : { io: rates(resources.io) }),
    timeoutMs: durationOf(resources.timeout),
    queueTimeoutMs: durationOf(resources.queueTimeout),
    imageTimeoutMs: durationOf(resources.imageTimeout),
  };
}
