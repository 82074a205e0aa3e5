import type { ArtifactType } from "../protocol/plan.ts";

const BY_ENDING: Readonly<Record<string, ArtifactType>> = { json: "json", csv: "csv", txt: "text", pkl: "pickle" };

const ENDING: Readonly<Record<ArtifactType, string>> = {
  file: "",
  folder: "",
  json: ".json",
  text: ".txt",
  bytes: ".bin",
  csv: ".csv",
  pickle: ".pkl",
};

/** `scores.json` is JSON, `plots/` a folder, and what has no well-known ending a file. */
export function typeOfPath(path: string): ArtifactType {
  if (path.endsWith("/")) return "folder";
  const ending = /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? "";
  return Object.hasOwn(BY_ENDING, ending) ? BY_ENDING[ending]! : "file";
}

/** Where an output lies that names no path: `scores.json`. */
export function defaultPath(name: string, type: ArtifactType): string {
  return name + ENDING[type];
}
