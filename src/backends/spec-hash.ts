import { hash } from "node:crypto";
import type { AttemptSpec } from "./execution-backend.ts";

/** Tells whether two specs are the same without keeping either: environments hold secrets. */
export function specHash(spec: AttemptSpec): string {
  const { image, argv, workingFolder, folder, mounts, network, limits } = spec;
  const mounted = mounts.map(({ host, inside }) => [host, inside]);
  const limited = [limits.cpus, limits.memoryBytes, limits.pids];
  const parts = [image, argv, sorted(spec.env), workingFolder, folder, mounted, network, limited, sorted(spec.labels)];
  // Where there are none, the hash is that of a spec that could not say so.
  const all = [
    ...parts,
    ...(spec.gpus === undefined ? [] : [spec.gpus]),
    ...(spec.secrets === undefined ? [] : [[spec.secrets.folder, spec.secrets.variables]]),
    ...isolationOf(spec),
    ...(limits.io === undefined ? [] : [{ io: [limits.io.readBytesPerSecond, limits.io.writeBytesPerSecond] }]),
  ];
  return hash("sha256", JSON.stringify(all), "hex");
}

function isolationOf({ isolation }: AttemptSpec): unknown[] {
  return isolation === undefined ? [] : [Object.entries(isolation).sort(([a], [b]) => (a < b ? -1 : 1))];
}

/** The order of keys means nothing: a spec read back from a journal is the same spec. */
function sorted(values: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));
}
