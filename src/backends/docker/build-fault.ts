import { type Fault, fault } from "../../protocol/faults.ts";
import { buildHint } from "./build-hint.ts";
import { imageFaultCode } from "./image-fault.ts";

export interface FailedBuild {
  /** The instruction that was worked on, as in the Dockerfile; null where it came to none. */
  readonly instruction: string | null;
  /** The last lines that it printed. */
  readonly lastLines: readonly string[];
}

/** The output before the failure that is quoted as evidence; the whole is in the log. */
export const EVIDENCE_LINES = 40;
const SYNTAX_ADVICE =
  "Remove the line where the engine's own builder knows all that the file uses, or let the engine reach that registry.";

/** As much of an instruction as says which one it is: those of a recipe are long, and the log has the whole. */
const INSTRUCTION_MAX_CHARS = 200;

/** The fault of a build that failed, from the builder's words about it. */
export function buildFault(words: string, { instruction, lastLines }: FailedBuild): Fault {
  const evidence = [...lastLines, withoutCommand(words)].join("\n");
  const where = instruction === null ? "" : ` at: ${shortened(instruction)}`;
  if (instruction?.startsWith("# syntax=")) {
    const message = `The image could not be built: the engine could not get the language that its Dockerfile asks for${where}`;
    return fault("image-build-failed", message, { evidence, advice: SYNTAX_ADVICE });
  }
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
  const advised = { evidence, ...(hint !== null && { advice: hint.advice }) };
  if (where === "") return fault("image-build-failed", `The Dockerfile was refused: ${reasonOf(words)}`, advised);
  const cause = hint === null ? "The image could not be built" : `The image could not be built: ${hint.what}`;
  return fault("image-build-failed", `${cause}; it failed${where}`, advised);
}

/** Without what it went through before it came to the reason. */
function reasonOf(words: string): string {
  return words.trim().replace(/^(failed to solve with frontend \S+: )?(failed to create LLB definition: )?/, "");
}

/** Builders repeat the whole command when they say how it ended. */
export function withoutCommand(words: string): string {
  return words
    .replace(/^executor failed running \[[\s\S]*\]: /, "")
    .replace(/process "[\s\S]*" did not complete successfully: /, "")
    .replace(/^The command '[\s\S]*' returned/, "The command returned");
}

/** What it mounts says nothing of what it does. */
function shortened(instruction: string): string {
  const text = instruction.replace(/^(RUN )(--mount=\S+ )+/, "$1");
  return text.length > INSTRUCTION_MAX_CHARS ? `${text.slice(0, INSTRUCTION_MAX_CHARS)} …` : text;
}
