import { BackendError, type BackendSession } from "../../backends/execution-backend.ts";
import type { BuildSecrets } from "../../backends/image-request.ts";
import { type Fault, fault } from "../../protocol/faults.ts";
import { exactImage } from "../../runtime/exact-image.ts";
import { type ImageOrder, imageRequest } from "../../runtime/image-request.ts";
import { CliError } from "../cli-error.ts";
import type { PastAttempt } from "./find-attempt.ts";

export interface ReplayImage {
  readonly id: string;
  readonly digest: string;
  /** Whether it is the very image of the attempt. */
  readonly exact: boolean;
}

export interface ReplayImageOptions {
  readonly past: PastAttempt;
  readonly session: BackendSession;
  readonly order: Omit<ImageOrder, "secretsFor">;
  /** Whether an image is made from the recipe, or found by its name, as it is today. */
  readonly rebuild: boolean;
  readonly onLog: (chunk: Uint8Array) => void;
  readonly note: (line: string) => void;
  readonly signal: AbortSignal;
}

const REBUILD = "--rebuild makes an image from the same recipe; what it installs may be newer by now.";

/** The image to replay an attempt in; null where the backend has none. Another than the attempt's only if asked for. */
export async function replayImage(options: ReplayImageOptions): Promise<ReplayImage | null> {
  const { past, session, order, rebuild, note, onLog, signal } = options;
  const need = await imageRequest({ ...order, secretsFor: noSecrets });
  if (!need.ok) throw imageError(need.fault);
  for (const warning of need.warnings) note(warning);
  if (need.request === null) return null;
  const { image } = past.attempt;
  if (!rebuild) {
    if (image === null) throw new CliError("The attempt ran without an image.", { advice: [REBUILD] });
    const exact = await exactImage(session, { environment: order.environment, image }, onLog, signal);
    if (!exact.ok) throw imageError(exact.fault, exact.fault.code === "image-not-found" ? [REBUILD] : []);
    return { id: exact.image, digest: image.digest, exact: true };
  }
  const made = await session.prepareImage(need.request, onLog, signal);
  if (!made.ok) throw imageError(made.fault);
  const digest = made.digest ?? made.image;
  const exact = image !== null && (made.image === image.id || digest === image.digest);
  if (!exact) note(`The image is another than the attempt's: ${digest}, not ${image?.digest ?? "known"}.`);
  return { id: made.image, digest, exact };
}

/** A replay is given none: the server gives them to the worker that holds a run. */
function noSecrets(named: readonly { readonly id: string }[]): BuildSecrets {
  const read = (id: string): Promise<Uint8Array> => {
    const message = `The build needs the secret ${id}, which only a worker is given while it holds the run.`;
    const advice = "Replay without --rebuild, where the image is.";
    return Promise.reject(new BackendError("spec-unsupported", fault("spec-unsupported", message, { advice })));
  };
  return { ids: named.map(({ id }) => id), read };
}

function imageError({ message, advice, evidence }: Fault, more: readonly string[] = []): CliError {
  const words = evidence === undefined ? [] : [evidence];
  return new CliError(message, { advice: [...words, ...(more.length > 0 ? more : [advice])] });
}
