import { Name } from "../../protocol/names.ts";
import type { ArtifactReference } from "../api/artifacts.ts";
import { usageError } from "../cli-error.ts";

/** `pipeline/step/name`, or with `/version` at the end. */
export function parseReference(text: string): ArtifactReference {
  const [pipeline, step, name, version, ...rest] = text.split("/");
  const named = [pipeline, step, name].every((part) => Name.safeParse(part).success);
  const versioned = version === undefined || version === "latest" || /^[1-9]\d{0,8}$/.test(version);
  if (!named || !versioned || rest.length > 0) {
    throw usageError(
      `"${text}" does not name an artifact.`,
      "Write it like wine/report/summary, or wine/report/summary/3.",
    );
  }
  return {
    pipeline: pipeline!,
    step: step!,
    name: name!,
    version: version === undefined || version === "latest" ? null : Number(version),
  };
}
