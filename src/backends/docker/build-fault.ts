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

/** The fault of a build that failed, from the builder's words about it. */
export function buildFault(words: string, { instruction, lastLines }: FailedBuild): Fault {
  const evidence = [...lastLines, words].join("\n");
  const where = instruction === null ? "" : ` at: ${instruction}`;
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
  const failed = where === "" ? ": the Dockerfile was refused." : `${where}${hint === null ? "" : `: ${hint.what}.`}`;
  return fault("image-build-failed", `The image could not be built; it failed${failed}`, {
    evidence,
    ...(hint !== null && { advice: hint.advice }),
  });
}
