import type { Environment } from "../protocol/plan.ts";
import { nodeFiles } from "./dockerfile.ts";

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
  const { python, node, source } = environment;
  const files = [
    ...(python?.requirements == null ? [] : [python.requirements]),
    ...(node?.lockfile == null ? [] : nodeFiles(node.lockfile)),
  ];
  return { files, folder: source };
}
