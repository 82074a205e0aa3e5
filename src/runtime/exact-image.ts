import type { BackendSession, ImageResult } from "../backends/execution-backend.ts";
import { repositoryOf } from "../environment/image-repository.ts";
import type { AttemptImage } from "../protocol/events.ts";
import { fault } from "../protocol/faults.ts";
import type { Environment } from "../protocol/plan.ts";

/**
 * The very image that an earlier attempt ran in, whatever its name stands for by now: by its id, where it is still on
 * this platform, or pulled by its digest, where it came from a registry. Never another one.
 */
export async function exactImage(
  session: Pick<BackendSession, "prepareImage">,
  { environment, image }: { readonly environment: Environment; readonly image: AttemptImage },
  onLog: (chunk: Uint8Array) => void,
  signal: AbortSignal,
): Promise<ImageResult> {
  const byId = await session.prepareImage({ kind: "ready", image: image.id }, onLog, signal);
  if (byId.ok || byId.fault.code !== "image-not-found") return byId;
  // What was built, or has no digest of a registry, is known by its id alone.
  if (environment.kind !== "image" || image.digest === image.id) return gone(image);
  const name = `${repositoryOf(environment.image)}@${image.digest}`;
  return await session.prepareImage({ kind: "ready", image: name }, onLog, signal);
}

function gone({ id, digest }: AttemptImage): ImageResult {
  const known = id === digest ? id : `${id} (${digest})`;
  const message = `The image ${known} is not on this machine any more, and there is nowhere to pull it from.`;
  return { ok: false, fault: fault("image-not-found", message) };
}
