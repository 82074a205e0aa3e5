import type { Fault } from "../../protocol/faults.ts";
import type { Engine } from "./engine.ts";
import { EngineError } from "./engine-error.ts";
import { pullFault } from "./image-fault.ts";
import { registryOf } from "./image-name.ts";
import { jsonLines } from "./json-lines.ts";
import { type PullLine, PullProgress } from "./pull-progress.ts";
import { registryAuth } from "./registry-auth.ts";

interface PulledLine extends PullLine {
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
}

/** Pulls an image; a fault tells why that failed, null that it did not. */
export async function pullImage(
  engine: Engine,
  image: string,
  onLog: (chunk: Uint8Array) => void,
  signal: AbortSignal,
): Promise<Fault | null> {
  const auth = await registryAuth(registryOf(image), process.env);
  const progress = new PullProgress();
  try {
    const answer = await engine.pullImage(image, auth, signal);
    for await (const line of jsonLines<PulledLine>(answer)) {
      const error = line.errorDetail?.message ?? line.error;
      if (error !== undefined) return pullFault(image, error);
      const text = progress.read(line);
      if (text !== null) onLog(Buffer.from(text));
    }
    return null;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof EngineError) return pullFault(image, error.message);
    throw error;
  }
}
