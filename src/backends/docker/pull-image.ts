import type { Fault } from "../../protocol/faults.ts";
import type { Engine } from "./engine.ts";
import { EngineError } from "./engine-error.ts";
import { pullFault } from "./image-fault.ts";
import { registryOf } from "./image-name.ts";
import { jsonLines } from "./json-lines.ts";
import { registryAuth } from "./registry-auth.ts";

interface PullLine {
  readonly status?: string;
  readonly id?: string;
  readonly progress?: string;
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
  try {
    const answer = await engine.pullImage(image, auth, signal);
    for await (const line of jsonLines<PullLine>(answer)) {
      const error = line.errorDetail?.message ?? line.error;
      if (error !== undefined) return pullFault(image, error);
      // Progress bars repeat many times a second; what remains are the milestones of each layer.
      if (line.status !== undefined && line.progress === undefined) {
        onLog(Buffer.from(`${line.id === undefined ? "" : `${line.id}: `}${line.status}\n`));
      }
    }
    return null;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof EngineError) return pullFault(image, error.message);
    throw error;
  }
}
