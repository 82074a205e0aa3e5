import { join } from "node:path";
import type { AttemptSpec } from "../backends/execution-backend.ts";
import type { Action, Environment } from "../protocol/plan.ts";
import { normalInside } from "../std/relative-path.ts";
import type { WorkOrder } from "./attempt-spec.ts";

/** Where the source is in a container, and where its step starts. */
const APP_FOLDER = "/app";
/** Where the SDK of a step's language is mounted in a container. */
const SDK_FOLDER = "/berth-sdk";

/**
 * Where a step starts: in its source. A built image says so itself, since its source is part of it; for a ready image
 * the source is mounted; without images it is the run's own unpacked copy, shared by the run's steps. Without a source
 * it is the image's own working folder, or a fresh one.
 */
export function workingFolderOf({ plan, step, source, capabilities }: WorkOrder): string | null {
  const environment = plan.environments[step.environment]!;
  if (capabilities.images) return environment.kind === "image" && environment.source !== null ? APP_FOLDER : null;
  const wanted = sourcePathOf(environment);
  return source === null || wanted === null ? null : hostPathOf(source, wanted);
}

/** Host folders that a container sees read-only; without images a step sees the host's own paths. */
export function mountsOf({ plan, step, source, sdk, capabilities }: WorkOrder): AttemptSpec["mounts"] {
  if (!capabilities.images) return [];
  const environment = plan.environments[step.environment]!;
  const sources =
    environment.kind === "image" && environment.source !== null && source !== null
      ? [{ host: hostPathOf(source, environment.source), inside: APP_FOLDER }]
      : [];
  const { kind } = step.action;
  return isFunction(kind) ? [...sources, { host: join(sdk, kind), inside: SDK_FOLDER }] : sources;
}

/** A folder of the source on the host. A path that leaves it would show a step the host's files: never, whoever asks. */
function hostPathOf(source: string, path: string): string {
  const inside = normalInside(path);
  if (inside === null) throw new TypeError(`the plan names ${JSON.stringify(path)}, which is not inside the source`);
  return join(source, inside);
}

/** The folder of the SDK for a language, as the step sees it. */
export function sdkFolderOf({ sdk, capabilities }: WorkOrder, language: Language): string {
  return capabilities.images ? SDK_FOLDER : join(sdk, language);
}

/** Languages whose functions can be steps: kinds of action, and folders of the SDKs. */
type Language = "python" | "typescript";

function isFunction(kind: Action["kind"]): kind is Language {
  return kind === "python" || kind === "typescript";
}

/** The folder inside the source that an environment's steps work in; null for none. */
export function sourcePathOf(environment: Environment): string | null {
  return environment.kind === "dockerfile" ? environment.context : environment.source;
}
