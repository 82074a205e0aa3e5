import type { Fault } from "../../../protocol/faults.ts";
import type { BuiltImage } from "../../image-request.ts";
import { buildFault } from "../build-fault.ts";
import { BUILT_LABELS } from "../build-image.ts";
import type { Engine } from "../engine.ts";
import { EngineError } from "../engine-error.ts";
import { jsonLines } from "../json-lines.ts";
import { BuildProgress } from "./build-progress.ts";
import { openBuildSession, SENT_DOCKERFILE } from "./build-session.ts";
import { readTrace } from "./trace.ts";

interface BuildLine {
  readonly id?: string;
  /** In base64 where `id` says that it is of the trace. */
  readonly aux?: unknown;
  readonly stream?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
}

/** Builds with BuildKit as it is in the engine, which gets what it needs over a session of this build. */
export async function buildWithBuildKit(
  engine: Engine,
  request: BuiltImage,
  onLog: (chunk: Uint8Array) => void,
  signal: AbortSignal,
): Promise<Fault | null> {
  const progress = new BuildProgress();
  using session = await openBuildSession(engine, request, signal);
  const failed = (words: string): Fault => {
    const failure = session.failure();
    if (failure !== null) throw failure;
    return buildFault(words, progress.failed ?? { instruction: null, lastLines: [] });
  };
  try {
    const answer = await engine.buildImage(null, queryOf(request, session.id), {}, signal);
    for await (const line of jsonLines<BuildLine>(answer)) {
      const error = line.errorDetail?.message ?? line.error;
      if (error !== undefined) return failed(error);
      const text = line.id === "moby.buildkit.trace" ? textOf(line.aux, progress) : (line.stream ?? "");
      if (text !== "") onLog(Buffer.from(text));
    }
    return null;
  } catch (error) {
    signal.throwIfAborted();
    // What cannot be built at all is refused at once.
    if (error instanceof EngineError) return failed(error.message);
    throw error;
  }
}

function queryOf(request: BuiltImage, session: string) {
  return {
    t: request.tag,
    dockerfile: SENT_DOCKERFILE,
    buildargs: request.args,
    labels: BUILT_LABELS,
    version: "2",
    remote: "client-session",
    session,
    target: request.target,
    pull: request.pull === "always",
  };
}

function textOf(aux: unknown, progress: BuildProgress): string {
  if (typeof aux !== "string") return "";
  return readTrace(Buffer.from(aux, "base64"))
    .map((item) => progress.add(item))
    .join("");
}
