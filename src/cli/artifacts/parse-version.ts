import type { ArtifactReference } from "../api/artifacts.ts";
import { usageError } from "../cli-error.ts";
import { parseReference } from "./parse-reference.ts";

/** Reads a reference to what is about to be changed: its number has to be said, for the newest may be another by then. */
export function parseVersion(text: string): ArtifactReference {
  const reference = parseReference(text);
  if (reference.version !== null) return reference;
  throw usageError(`"${text}" names no version.`, `Say which, such as ${text.replace(/\/latest$/, "")}/3.`);
}
