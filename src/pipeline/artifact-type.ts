import type { ArtifactType } from "../protocol/plan.ts";

type KnownType = Exclude<ArtifactType, `x-${string}`>;

/** Not `.pkl`: that something is unpickled, which runs code, is said in so many words. */
const BY_ENDING: Readonly<Record<string, ArtifactType>> = {
  json: "json",
  csv: "csv",
  txt: "text",
  parquet: "parquet",
  npy: "npy",
  npz: "npz",
};

const ENDING: Readonly<Record<KnownType, string>> = {
  file: "",
  folder: "",
  json: ".json",
  text: ".txt",
  lines: ".txt",
  bytes: ".bin",
  csv: ".csv",
  parquet: ".parquet",
  npy: ".npy",
  npz: ".npz",
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
  return name + (isCustomType(type) ? "" : ENDING[type]);
}

/** Whether the step's own code says how it is read and written; it is a file or a folder, which only shows then. */
export function isCustomType(type: ArtifactType): type is `x-${string}` {
  return type.startsWith("x-");
}

/** What has neither lines, rows nor items that Berth could tell apart, so that it is neither split nor joined. */
export function isOpaque(type: ArtifactType): boolean {
  return type === "parquet" || type === "npy" || type === "npz" || type === "pickle";
}
