import type { Fault } from "../../protocol/faults.ts";
import type { BuiltImage } from "../image-request.ts";
import { buildContext } from "./build-context.ts";
import { buildFault, EVIDENCE_LINES } from "./build-fault.ts";
import { BUILT_LABELS } from "./build-image.ts";
import { BuildLeftovers } from "./build-leftovers.ts";
import type { Engine } from "./engine.ts";
import { EngineError } from "./engine-error.ts";
import { jsonLines } from "./json-lines.ts";
import { buildHeader } from "./registry-headers.ts";

interface BuildLine {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly progress?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
}

/** Builds with the builder that engines had before BuildKit, one instruction in a container after the other. */
export async function buildClassic(
  engine: Engine,
  request: BuiltImage,
  onLog: (chunk: Uint8Array) => void,
  signal: AbortSignal,
): Promise<Fault | null> {
  const logins = await buildHeader(request, onLog, signal);
  const { tar, dockerfile } = buildContext(request.context, request.dockerfile);
  const query = {
    t: request.tag,
    dockerfile,
    buildargs: request.args,
    labels: BUILT_LABELS,
    rm: true,
    forcerm: true,
    version: "1",
    target: request.target,
    pull: request.pull === "always",
  };
  const output = new BuildOutput();
  let isBuilt = false;
  try {
    const answer = await engine.buildImage(tar, query, { "x-registry-config": logins }, signal);
    for await (const line of jsonLines<BuildLine>(answer)) {
      const error = line.errorDetail?.message ?? line.error;
      if (error !== undefined) return buildFault(error, output);
      const text = line.stream === undefined ? milestone(line) : withoutRed(line.stream);
      if (text === undefined) continue;
      output.add(text);
      onLog(Buffer.from(text));
    }
    isBuilt = true;
    return null;
  } catch (error) {
    signal.throwIfAborted();
    // A Dockerfile that cannot be parsed is refused at once.
    if (error instanceof EngineError) return buildFault(error.message, output);
    throw error;
  } finally {
    if (!isBuilt) await output.leftovers.remove(engine);
  }
}

/** The builder paints what comes from standard error. */
function withoutRed(text: string): string {
  return text.replaceAll("\u001b[91m", "").replaceAll("\u001b[0m", "");
}

/** What pulling the base image says, without its progress bars. */
function milestone({ status, id, progress }: BuildLine): string | undefined {
  return status === undefined || progress !== undefined ? undefined : `${id === undefined ? "" : `${id}: `}${status}\n`;
}

/** Remembers which instruction is being worked on, and the last lines that it printed. */
class BuildOutput {
  instruction: string | null = null;
  lastLines: string[] = [];
  readonly leftovers = new BuildLeftovers();

  add(text: string): void {
    for (const line of text.split(/\r?\n/)) {
      if (line.trim() === "") continue;
      this.leftovers.read(line);
      const step = /^Step \d+\/\d+ : (.*)$/.exec(line);
      if (step !== null) {
        this.instruction = step[1]!;
        this.lastLines = [];
      } else {
        this.lastLines = [...this.lastLines.slice(-(EVIDENCE_LINES - 1)), line];
      }
    }
  }
}
