import { type Fault, fault } from "../../protocol/faults.ts";
import type { BuiltImage } from "../image-request.ts";
import { buildClassic } from "./build-classic.ts";
import { buildWithBuildKit } from "./buildkit/build-with-buildkit.ts";
import type { Engine } from "./engine.ts";
import type { EngineVersion } from "./engine-types.ts";

export type Builder = "buildkit" | "classic";

/** The same for every build, or the builder's cache would be of no use. */
export const BUILT_LABELS = { "berth.kind": "environment" };

/** An image by its id: BuildKit takes that for a name, and asks a registry for it. */
const STARTS_FROM_ID = /^\s*FROM\s+(--platform=\S+\s+)?(sha256:)?[0-9a-f]{64}(\s|$)/im;

/** Docker's own engines have BuildKit in every version that Berth works with; what else speaks their API has not. */
export function builderOf({ Components = [] }: EngineVersion): Builder {
  return Components.some(({ Name }) => Name === "Engine") ? "buildkit" : "classic";
}

/** Builds and tags an image with a builder of the engine; a fault tells why that failed, null that it did not. */
export async function buildImage(
  { engine, builder }: { readonly engine: Engine; readonly builder: Builder },
  request: BuiltImage,
  onLog: (chunk: Uint8Array) => void,
  signal: AbortSignal,
): Promise<Fault | null> {
  const chosen = STARTS_FROM_ID.test(request.dockerfile) ? "classic" : builder;
  if (chosen === "buildkit") return buildWithBuildKit(engine, request, onLog, signal);
  if (request.secrets !== undefined) return noSecrets(request.secrets.ids);
  return buildClassic(engine, request, onLog, signal);
}

/** As a build argument a value would stay in the image's history for everyone to read. */
function noSecrets(ids: readonly string[]): Fault {
  const message = `The build mounts secrets (${ids.join(", ")}), and the classic builder, which this one takes, can give a build none without keeping it in the image.`;
  const advice =
    "Use a worker whose engine has BuildKit and whose builder is auto, and name the image to start from by its tag or digest.";
  return fault("spec-unsupported", message, { advice });
}
