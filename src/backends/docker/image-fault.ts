import { type Fault, type FaultCode, fault } from "../../protocol/faults.ts";

/**
 * What the engine's words about an image mean. They come as an HTTP error or in the middle of a 200 stream, and there
 * is no code in them, only text; the order matters.
 */
const MEANINGS: readonly (readonly [RegExp, FaultCode])[] = [
  [/no matching manifest for|does not match the specified platform|no match for platform/i, "image-arch"],
  [/invalid reference format|invalid repository name|invalid tag format/i, "image-not-found"],
  // Docker Hub answers so about what does not exist, too; only credentials could tell.
  [/pull access denied|requested access to the resource is denied/i, "image-denied"],
  [/unauthorized|authentication required|no basic auth credentials|forbidden|(^|: )denied(:|$)/i, "image-denied"],
  [
    /manifest.*(unknown|not found)|not found: manifest|name unknown|repository .* not found|no such image|^failed to .*: not found$/im,
    "image-not-found",
  ],
  [/no space left on device/i, "stage-io"],
];

/** Null when the words are about none of the known mistakes. */
export function imageFaultCode(words: string): FaultCode | null {
  return MEANINGS.find(([pattern]) => pattern.test(words))?.[1] ?? null;
}

/** The fault of a pull. What is no known mistake is the network's or the registry's doing, which may pass. */
export function pullFault(image: string, words: string): Fault {
  const code = imageFaultCode(words) ?? "image-pull-transient";
  return fault(code, PULL_MESSAGES[code]?.(image) ?? `The image ${image} could not be pulled.`, { evidence: words });
}

const PULL_MESSAGES: Partial<Record<FaultCode, (image: string) => string>> = {
  "image-not-found": (image) => `The image ${image} does not exist.`,
  "image-denied": (image) => `The registry refuses the image ${image}: it does not exist, or needs credentials.`,
  "image-arch": (image) => `The image ${image} has no variant for this worker's architecture.`,
  "image-pull-transient": (image) => `The image ${image} could not be pulled: its registry did not give it.`,
};
