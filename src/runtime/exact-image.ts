import type { BackendSession } from "../backends/execution-backend.ts";
import type { ImageResult } from "../backends/image-request.ts";
import type { FixedImage } from "../protocol/events.ts";
import { fault } from "../protocol/faults.ts";
import type { Environment } from "../protocol/plan.ts";
import { repositoryOf } from "../std/image-repository.ts";

/**
 * The very image that a run is fixed on, whatever its name stands for by now: by its id, where it is still on this
 * platform, or pulled by its digest, where it came from a registry. Never another one.
 */
export async function exactImage(
  session: Pick<BackendSession, "prepareImage">,
  { environment, image }: { readonly environment: Environment; readonly image: FixedImage },
  onLog: (chunk: Uint8Array) => void,
  signal: AbortSignal,
): Promise<ImageResult> {
  const byId = await session.prepareImage({ kind: "ready", image: image.id }, onLog, signal);
  if (!byId.ok && byId.fault.code !== "image-not-found") return byId;
  if (byId.ok) return asFixed(byId, image);
  const reference = image.reference ?? referenceOf(environment, image);
  if (reference === null) return gone(image);
  // What may never be pulled may still be here, under the id of another engine.
  const pull = environment.pull === "never" ? "never" : "missing";
  const pulled = await session.prepareImage({ kind: "ready", image: reference, pull }, onLog, signal);
  return pulled.ok ? asFixed(pulled, image) : pulled;
}

/** What was built, or has no digest of a registry, is known by its id alone. */
function referenceOf(environment: Environment, { id, digest }: FixedImage): string | null {
  return environment.kind !== "image" || digest === id ? null : `${repositoryOf(environment.image)}@${digest}`;
}

/** An engine may know the same image from several registries; it goes on being called what it was called first. */
function asFixed(result: Extract<ImageResult, { ok: true }>, { digest, reference }: FixedImage): ImageResult {
  return { ...result, digest, ...(reference !== undefined && { reference }) };
}

function gone({ id, digest }: FixedImage): ImageResult {
  const known = id === digest ? id : `${id} (${digest})`;
  const message = `The image ${known} is not on this machine any more, and there is nowhere to pull it from.`;
  return { ok: false, fault: fault("image-not-found", message) };
}
