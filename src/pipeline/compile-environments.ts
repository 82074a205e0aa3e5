import type { Environment } from "../protocol/plan.ts";
import type { Compilation } from "./compilation.ts";
import { compileCredentials } from "./compile-credentials.ts";
import { type Path, quote } from "./problem.ts";
import type { StepSpec } from "./schema.ts";
import type { EnvironmentSpec } from "./schema-environment.ts";
import { didYouMean } from "./suggest.ts";

/** The environment of a step that names none. */
const DEFAULT = "default";

/** Which keys go with which kind of environment. */
const KEYS = {
  base: ["apt", "conda", "python", "node", "credentials", "source", "pull", "env"],
  image: ["source", "pull", "env"],
  dockerfile: ["context", "args", "secrets", "target", "pull", "env"],
} as const satisfies Record<string, readonly (keyof EnvironmentSpec)[]>;
const KINDS = Object.keys(KEYS) as (keyof typeof KEYS)[];

export interface Environments {
  /** The environment that a step asks for; null when there is none, which has then been reported. */
  choose(step: string, spec: StepSpec): string | null;
  /** By what `choose` gave; null where that or the environment itself was reported. */
  get(name: string | null): Environment | null;
  /** Those that steps use, by name. Warns about the others. */
  used(): Record<string, Environment>;
}

export function compileEnvironments(compilation: Compilation): Environments {
  const { file, problems, warnings, isDamaged } = compilation;
  const all = new Map<string, Environment | null>();
  const paths = new Map<string, Path>();
  const chosen = new Set<string>();

  function define(name: string, spec: EnvironmentSpec, path: Path): void {
    all.set(name, compileEnvironment(spec, path, compilation));
    paths.set(name, path);
  }

  function lookUp(name: string, path: Path): string | null {
    if (all.has(name)) return name;
    if (!isDamaged("environments", name)) {
      problems.add(path, () => `there is no environment ${quote(name)}${didYouMean(name, all.keys())}`);
    }
    return null;
  }

  /** An environment of one step alone is named after it. */
  function defineInline(step: string, spec: EnvironmentSpec): string {
    let name = step;
    for (let count = 2; all.has(name); count++) name = `${step.slice(0, 55)}-${count}`;
    define(name, spec, ["steps", step, "environment"]);
    return name;
  }

  function find(step: string, spec: StepSpec): string | null {
    if (typeof spec.environment === "string") return lookUp(spec.environment, ["steps", step, "environment"]);
    if (spec.environment !== undefined) return defineInline(step, spec.environment);
    const isReported =
      isDamaged("steps", step, "environment") || isDamaged("environment") || isDamaged("environments", DEFAULT);
    if (fallback === null && whole === undefined && !isReported) {
      const advice = 'add an "environment" to the step or to the pipeline, such as { image: "debian:12-slim" }';
      problems.add(["steps", step], `has no environment to run in: ${advice}`, "entry");
    }
    return fallback;
  }

  for (const [name, spec] of Object.entries(file.environments ?? {})) define(name, spec, ["environments", name]);
  const whole = file.environment;
  if (typeof whole === "object") {
    if (all.has(DEFAULT)) {
      problems.add(["environment"], `environments already holds ${quote(DEFAULT)}: remove one of the two`, "entry");
    }
    define(DEFAULT, whole, ["environment"]);
  }
  const fallback = typeof whole === "string" ? lookUp(whole, ["environment"]) : all.has(DEFAULT) ? DEFAULT : null;

  return {
    choose(step, spec) {
      const name = find(step, spec);
      if (name !== null) chosen.add(name);
      return name;
    },
    get: (name) => (name === null ? null : (all.get(name) ?? null)),
    used() {
      const result: Record<string, Environment> = {};
      for (const [name, environment] of all) {
        if (!chosen.has(name)) warnings.add(paths.get(name)!, "no step uses this environment");
        else if (environment !== null) result[name] = environment;
      }
      return result;
    },
  };
}

/** Null when it is neither recipe, image nor Dockerfile, which has then been reported. */
function compileEnvironment(spec: EnvironmentSpec, path: Path, compilation: Compilation): Environment | null {
  const { problems, isDamaged } = compilation;
  const kinds = KINDS.filter((kind) => spec[kind] !== undefined);
  const kind = kinds[0];
  if (kinds.length !== 1 || kind === undefined) {
    const message = kinds.length === 0 ? "needs" : `has ${kinds.join(" and ")}; it takes`;
    if (!KINDS.some((each) => isDamaged(...path, each)))
      problems.add(path, `${message} exactly one of base (a recipe), image and dockerfile`);
    return null;
  }
  for (const key of Object.keys(spec) as (keyof EnvironmentSpec)[]) {
    if (key !== kind && !(KEYS[kind] as readonly string[]).includes(key)) {
      const takers = KINDS.filter((other) => (KEYS[other] as readonly string[]).includes(key));
      problems.add([...path, key], `${quote(key)} goes with ${takers.join(" or ")}, not with ${kind}`, "entry");
    }
  }
  const env = compilation.textsOf(spec.env, [...path, "env"]);
  checkVariableTexts(env, [...path, "env"], compilation);
  checkFiles(spec, path, compilation);
  const source = spec.source === undefined ? null : folder(spec.source);
  const pull = spec.pull === undefined || spec.pull === "missing" ? {} : { pull: spec.pull };
  if (kind === "dockerfile" && spec.pull === "never") {
    problems.add([...path, "pull"], '"never" goes with base or image: what a Dockerfile starts from is not known');
  }
  if (kind === "image") return { kind, image: spec.image!, source, ...pull, env };
  if (kind === "dockerfile") {
    const context = folder(spec.context ?? ".");
    const target = spec.target === undefined ? {} : { target: spec.target };
    const secrets = spec.secrets === undefined ? {} : { secrets: buildSecrets(spec.secrets, path, compilation) };
    return { kind, dockerfile: spec.dockerfile!, context, args: spec.args ?? {}, ...secrets, ...target, ...pull, env };
  }
  return {
    kind: "recipe",
    base: spec.base!,
    apt: spec.apt ?? [],
    ...dependencies(spec, path, compilation),
    ...(spec.credentials !== undefined && { credentials: compileCredentials(spec, path, compilation) }),
    source,
    ...pull,
    env,
  };
}

function buildSecrets(spec: NonNullable<EnvironmentSpec["secrets"]>, path: Path, { problems }: Compilation) {
  const secrets = spec.map((secret) => (typeof secret === "string" ? { name: secret, id: secret } : secret));
  for (const [index, { id }] of secrets.entries()) {
    const isTwice = secrets.findIndex((other) => other.id === id) < index;
    if (isTwice) problems.add([...path, "secrets", index], `the id ${quote(id)} stands for another secret already`);
  }
  return secrets;
}

function dependencies({ conda, python, node }: EnvironmentSpec, path: Path, { problems, isDamaged }: Compilation) {
  if (python && !python.requirements && !python.packages && !python.lockfile && !isDamaged(...path, "python")) {
    problems.add([...path, "python"], 'needs "requirements", "lockfile" or "packages"');
  }
  if (python?.lockfile && (python.requirements || python.packages)) {
    problems.add([...path, "python", "lockfile"], 'stands alone: add other packages to it with "uv add"', "entry");
  }
  checkManager(node, [...path, "node", "manager"], problems);
  if (node && !node.lockfile && !node.packages && !isDamaged(...path, "node")) {
    problems.add([...path, "node"], 'needs "lockfile" or "packages"');
  }
  return {
    python: python
      ? {
          requirements: python.requirements ?? null,
          packages: python.packages ?? [],
          ...(python.lockfile !== undefined && { lockfile: python.lockfile }),
          ...(python.index !== undefined && { indexes: [python.index].flat() }),
        }
      : null,
    node: node
      ? {
          lockfile: node.lockfile ?? null,
          packages: node.packages ?? [],
          ...(node.manager !== undefined && { manager: node.manager }),
          ...(node.registry !== undefined && { registry: node.registry }),
          ...(node.scopes !== undefined && { scopes: node.scopes }),
        }
      : null,
    ...(conda !== undefined && { conda: { file: conda.file } }),
  };
}

function checkManager(node: EnvironmentSpec["node"], path: Path, problems: Compilation["problems"]): void {
  if (node?.manager === undefined) return;
  const wanted = { pnpm: "pnpm-lock.yaml", yarn: "yarn.lock" }[node.manager.split("@")[0] as "pnpm" | "yarn"];
  if (node.lockfile?.endsWith(wanted)) return;
  problems.add(path, `${quote(node.manager)} goes with a ${wanted} as lockfile`, "entry");
}

function checkVariableTexts(env: Record<string, string>, path: Path, { problems }: Compilation): void {
  for (const [name, value] of Object.entries(env)) {
    if (value.includes("${{")) {
      problems.add([...path, name], "an environment knows no run: put templates into the env of the step");
    }
  }
}

/** What a build would find missing minutes later, on another machine. */
function checkFiles(spec: EnvironmentSpec, path: Path, { problems, kindOf }: Compilation): void {
  if (kindOf === undefined) return;
  const check = (wanted: "file" | "folder", name: string | undefined, at: Path) => {
    if (name === undefined) return;
    const found = kindOf(name);
    if (found === wanted) return;
    const missing = `there is no ${wanted} ${quote(name)} in the folder of the pipeline file`;
    problems.add(at, found === "nothing" ? missing : `${quote(name)} is a ${found}, not a ${wanted}`);
  };
  check("folder", spec.source, [...path, "source"]);
  check("folder", spec.context, [...path, "context"]);
  check("file", spec.dockerfile, [...path, "dockerfile"]);
  check("file", spec.python?.requirements, [...path, "python", "requirements"]);
  check("file", spec.python?.lockfile, [...path, "python", "lockfile"]);
  check("file", spec.node?.lockfile, [...path, "node", "lockfile"]);
  check("file", spec.conda?.file, [...path, "conda", "file"]);
}

function folder(path: string): string {
  return path.replace(/\/$/, "");
}
