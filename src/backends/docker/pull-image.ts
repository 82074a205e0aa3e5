import type { Fault } from "../../protocol/faults.ts";
import type { ReadyImage } from "../image-request.ts";
import type { Engine } from "./engine.ts";
import { EngineError } from "./engine-error.ts";
import { pullFault } from "./image-fault.ts";
import { jsonLines } from "./json-lines.ts";
import { type PullLine, PullProgress } from "./pull-progress.ts";
import { pullHeader } from "./registry-headers.ts";

interface PulledLine extends PullLine {
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
}

/** Pulls an image; a fault tells why that failed, null that it did not. */
export async function pullImage(
  engine: Engine,
  request: ReadyImage,
  onLog: (chunk: Uint8Array) => void,
  signal: AbortSignal,
): Promise<Fault | null> {
  const { image } = request;
  const auth = await pullHeader(request, signal);
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
