import type { Content } from "../protocol/artifacts.ts";
import type { OutputNotes } from "../protocol/output-notes.ts";
import type { StepNotes } from "./read-notes.ts";

interface Noted {
  readonly outputs: Readonly<Record<string, Content>>;
  readonly notes: Readonly<Record<string, OutputNotes>>;
  readonly warnings: readonly string[];
}

/** Puts what was said of outputs to those that there are. A content type that was said stands for the extension's. */
export function takeNotes(
  outputs: Readonly<Record<string, Content>>,
  said: Readonly<Record<string, StepNotes>>,
): Noted {
  const taken: Record<string, Content> = { ...outputs };
  const notes: Record<string, OutputNotes> = {};
  const warnings: string[] = [];
  for (const [name, { contentType, ...rest }] of Object.entries(said)) {
    const content = outputs[name];
    if (content === undefined) continue;
    if (Object.keys(rest).length > 0) notes[name] = rest;
    if (contentType === undefined) continue;
    if (content.kind === "file") taken[name] = { ...content, contentType };
    else warnings.push(`Output ${name} is a folder, which has no content type: ${contentType} was ignored.`);
  }
  return { outputs: taken, notes, warnings };
}
