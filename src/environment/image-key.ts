import { createHash } from "node:crypto";
import type { Environment } from "../protocol/plan.ts";

/** One file of a build's context. */
export interface ContextFile {
  readonly path: string;
  /** SHA-256 of its bytes; of its target, for a link. */
  readonly digest: string;
  readonly mode: number;
}

export interface ImageIngredients {
  readonly environment: Environment;
  /** Text of the Dockerfile, generated or the user's own. */
  readonly dockerfile: string;
  readonly files: readonly ContextFile[];
}

/** Raised when the same ingredients are to give another image, so that old images are not taken for new ones. */
const RECIPE_VERSION = 1;

/** SHA-256 over everything that goes into an image: the same key means that the image need not be built again. */
export function imageKey({ environment, dockerfile, files }: ImageIngredients): string {
  const isOwn = environment.kind === "dockerfile";
  const args = isOwn ? Object.entries(environment.args).toSorted(byName) : [];
  const target = isOwn && environment.target !== undefined ? [environment.target] : [];
  const context = files.map(({ path, digest, mode }) => [path, digest, mode] as const).toSorted(byName);
  return createHash("sha256")
    .update(JSON.stringify([RECIPE_VERSION, dockerfile, args, context, ...target]))
    .digest("hex");
}

/** The tag of the image with this key: legal in every registry, and short enough to read. */
export function imageTag(pipeline: string, key: string): string {
  const readable =
    pipeline
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-+|-+$/g, "") || "pipeline";
  return `berth/${readable}:${key.slice(0, 24)}`;
}

function byName(a: readonly [string, ...unknown[]], b: readonly [string, ...unknown[]]): number {
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;
}
