import { join } from "node:path";
import type { Capabilities } from "../backends/execution-backend.ts";
import type { BuildSecrets, ImageRequest } from "../backends/image-request.ts";
import type { DockerIgnore } from "../environment/docker-ignore.ts";
import { generateDockerfile } from "../environment/dockerfile.ts";
import { imageKey, imageTag } from "../environment/image-key.ts";
import { requiredFiles } from "../environment/required-files.ts";
import { type Fault, fault } from "../protocol/faults.ts";
import type { Environment, PullPolicy } from "../protocol/plan.ts";
import {
  BuildContextProblem,
  contextEntries,
  folderInContext,
  readDockerIgnore,
  readInContext,
  writeContext,
} from "./build-context.ts";
import { recipeSecrets } from "./recipe-secrets.ts";
import { sourcePathOf } from "./working-folder.ts";

export interface ImageOrder {
  /** Name of the pipeline, which the tag shows to people. */
  readonly pipeline: string;
  readonly environment: Environment;
  /** Host path of the unpacked source; null when the run has none. */
  readonly source: string | null;
  /** Host folder in which build contexts are made; the caller removes it when the run is over. */
  readonly contexts: string;
  readonly capabilities: Capabilities;
  /** Gives a build the secrets that its environment names. */
  readonly secretsFor: (secrets: readonly { readonly name: string; readonly id: string }[]) => BuildSecrets;
}

export type ImageNeed =
  /** `request` is null where the backend runs steps without images. */
  | { readonly ok: true; readonly request: ImageRequest | null; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly fault: Fault };

/** What to ask a backend's `prepareImage` for, with the build context made. A user's mistake is a fault. */
export async function imageRequest(order: ImageOrder): Promise<ImageNeed> {
  const { environment, source, capabilities } = order;
  if (source === null && needsSource(environment)) {
    const message = "The environment takes files from the source folder, but the run was submitted without one.";
    return { ok: false, fault: fault("source-missing", message) };
  }
  try {
    const worksIn = sourcePathOf(environment);
    if (source !== null && worksIn !== null) folderInContext(source, worksIn);
    if (!capabilities.images) return withoutImages(environment);
    if (environment.kind === "image") {
      return ready({ kind: "ready", image: environment.image, ...pullOf(environment) });
    }
    return ready(await buildRequest(order, environment));
  } catch (error) {
    if (!(error instanceof BuildContextProblem)) throw error;
    return { ok: false, fault: fault("spec-invalid", error.message, { advice: error.advice }) };
  }
}

function ready(request: ImageRequest): ImageNeed {
  return { ok: true, request, warnings: [] };
}

function needsSource(environment: Environment): boolean {
  const required = requiredFiles(environment);
  return sourcePathOf(environment) !== null || (required !== null && required.files.length > 0);
}

async function buildRequest(
  { pipeline, source, contexts, secretsFor }: ImageOrder,
  environment: Exclude<Environment, { kind: "image" }>,
): Promise<ImageRequest> {
  const isOwn = environment.kind === "dockerfile";
  // A generated file copies by paths of the source; a user's own by paths of the context that it names.
  const root = source === null ? null : isOwn ? folderInContext(source, environment.context) : source;
  const { files, folder } = requiredFiles(environment)!;
  const wanted = isOwn ? { files: [], folder: "." } : { files, folder };
  const entries = root === null ? [] : await contextEntries(root, wanted, ignoreOf(environment, source!, root));
  const dockerfile = isOwn ? readInContext(source!, environment.dockerfile) : generateDockerfile(environment);
  const key = imageKey({ environment, dockerfile, files: entries });
  const context = join(contexts, key);
  await writeContext(root, entries, context);
  const built = { kind: "build", tag: imageTag(pipeline, key), context, dockerfile, ...pullOf(environment) } as const;
  if (!isOwn) return { ...built, args: {}, base: environment.base, ...recipeSecrets(environment, secretsFor) };
  const { args, target, secrets } = environment;
  const given = secrets === undefined ? {} : { secrets: secretsFor(secrets) };
  return { ...built, args, ...given, ...(target !== undefined && { target }) };
}

function pullOf({ pull }: Environment): { readonly pull?: PullPolicy } {
  return pull === undefined ? {} : { pull };
}

/** The ignore file of an own Dockerfile, which lies beside it, is taken instead of that of the context. */
function ignoreOf(environment: Environment, source: string, context: string): DockerIgnore {
  const own = environment.kind === "dockerfile" ? [join(source, `${environment.dockerfile}.dockerignore`)] : [];
  return readDockerIgnore([...own, join(context, ".dockerignore")]);
}

/**
 * A base or image cannot be honoured without images, which a person who chose such a backend knows: a warning. Packages
 * to install are another matter: the step would fail in the middle for lack of them.
 */
function withoutImages(environment: Environment): ImageNeed {
  const asks = installs(environment);
  if (asks !== null) {
    const message = `This backend runs steps on the worker itself, without images, so ${asks} cannot be honoured.`;
    return { ok: false, fault: fault("spec-unsupported", message) };
  }
  const image =
    environment.kind === "recipe" ? environment.base : environment.kind === "image" ? environment.image : "";
  const warning = `This backend runs steps on the worker itself: ${image} is not used.`;
  return { ok: true, request: null, warnings: [warning] };
}

function installs(environment: Environment): string | null {
  if (environment.kind === "dockerfile") return `the Dockerfile ${environment.dockerfile}`;
  if (environment.kind === "image") return null;
  const { apt, conda, python, node } = environment;
  const asked = [
    apt.length > 0 && "apt",
    conda !== undefined && "conda",
    python !== null && "python",
    node !== null && "node",
  ].filter(Boolean);
  return asked.length === 0 ? null : `the environment's packages (${asked.join(", ")})`;
}
