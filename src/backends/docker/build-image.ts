import { type Fault, fault } from "../../protocol/faults.ts";
import type { ImageRequest } from "../execution-backend.ts";
import { buildContext } from "./build-context.ts";
import { buildHint } from "./build-hint.ts";
import { BuildLeftovers } from "./build-leftovers.ts";
import type { Engine } from "./engine.ts";
import { EngineError } from "./engine-error.ts";
import { imageFaultCode } from "./image-fault.ts";
import { jsonLines } from "./json-lines.ts";

export type BuildRequest = Extract<ImageRequest, { kind: "build" }>;

interface BuildLine {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly progress?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
}

/** The same for every build, or the builder's cache would be of no use. */
const BUILT_LABELS = { "berth.kind": "environment" };

/** The output before the failure that is quoted as evidence; the whole is in the log. */
const EVIDENCE_LINES = 40;

/** Builds and tags an image with the engine's own builder; a fault tells why that failed, null that it did not. */
export async function buildImage(
  engine: Engine,
  request: BuildRequest,
  onLog: (chunk: Uint8Array) => void,
  signal: AbortSignal,
): Promise<Fault | null> {
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
    const answer = await engine.buildImage(tar, query, {}, signal);
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

function buildFault(words: string, output: BuildOutput): Fault {
  const { instruction } = output;
  const evidence = [...output.lastLines, words].join("\n");
  const where = instruction === null ? "" : ` at: ${instruction}`;
  // A base image that is not there is the same mistake as an image that is not there.
  const code = instruction === null || instruction.startsWith("FROM ") ? imageFaultCode(words) : null;
  if (code !== null)
    return fault(code, `The image could not be built: its base image was not to be had${where}`, { evidence });
  if (instruction?.startsWith("FROM ")) {
    return fault("image-pull-transient", `The image could not be built: its base image could not be pulled${where}`, {
      evidence,
    });
  }
  const hint = buildHint(evidence);
  const failed = where === "" ? ": the Dockerfile was refused." : `${where}${hint === null ? "" : `: ${hint.what}.`}`;
  return fault("image-build-failed", `The image could not be built; it failed${failed}`, {
    evidence,
    ...(hint !== null && { advice: hint.advice }),
  });
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
