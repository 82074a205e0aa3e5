import type { Environment, Plan } from "../protocol/plan.ts";
import { condaFiles } from "./conda-packages.ts";
import { nodeFiles } from "./node-lock-file.ts";
import { pythonFiles } from "./python-packages.ts";

/** What an environment takes from the source folder to build its image. Paths are relative to that folder. */
export interface RequiredFiles {
  /** Single files that must be there. */
  readonly files: readonly string[];
  /** The folder that goes in as a whole; null for none. */
  readonly folder: string | null;
}

/** Null when nothing is built. */
export function requiredFiles(environment: Environment): RequiredFiles | null {
  if (environment.kind === "image") return null;
  if (environment.kind === "dockerfile") return { files: [environment.dockerfile], folder: environment.context };
  const { conda, python, node, source } = environment;
  const files = [
    ...condaFiles(conda),
    ...pythonFiles(python),
    ...(node?.lockfile == null ? [] : nodeFiles(node.lockfile)),
  ];
  return { files, folder: source };
}

/**
 * The files and folders of the source folder that a pipeline's environments take anything from, for images and as
 * working folders; "." is all of it. Empty when it needs no source.
 */
export function sourcePaths({ environments }: Pick<Plan, "environments">): readonly string[] {
  const paths = Object.values(environments).flatMap((environment) => {
    if (environment.kind === "image") return environment.source === null ? [] : [environment.source];
    // A Dockerfile's own ignore file lies beside it, and what it copies is in its context.
    if (environment.kind === "dockerfile") return ["."];
    const { files, folder } = requiredFiles(environment)!;
    return folder === null ? files : [...files, folder];
  });
  return paths.includes(".") ? ["."] : [...new Set(paths)].sort();
}
