import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Content } from "../../protocol/artifacts.ts";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import type { BlobSource } from "../../runtime/attempt-work.ts";
import { stageContent } from "../../runtime/stage-content.ts";
import { oneName } from "../artifacts/download.ts";
import { itemFolder } from "../artifacts/item-folder.ts";
import { usageError } from "../cli-error.ts";

/** An output of a replay, on this machine. */
export interface LocalOutput {
  readonly name: string;
  readonly path: string;
  readonly digest: string;
  readonly size: number;
  /** What the attempt that was replayed had made, and whether this is the same; null where it made none. */
  readonly before: { readonly version: number; readonly same: boolean } | null;
}

/** The folder for the outputs: the one named, which must be empty or new, or a new one here. */
export function outputFolder(wanted: string | undefined, { run, stepRun }: { run: string; stepRun: string }): string {
  if (wanted !== undefined) {
    const folder = resolve(wanted);
    if (!existsSync(folder) || readdirSync(folder).length === 0) return folder;
    throw usageError(`${folder} is not empty.`, "Name a new folder with --output.");
  }
  const name = `replay-${itemFolder(`${run.replace("#", "-")}-${stepRun}`)}`;
  for (let number = 1; ; number++) {
    const folder = resolve(number === 1 ? name : `${name}-${number}`);
    if (!existsSync(folder)) return folder;
  }
}

/** Puts every output at `<folder>/<output>/<file name>`. */
export async function placeOutputs(
  outputs: Readonly<Record<string, Content>>,
  { cache, folder, before }: { cache: BlobSource; folder: string; before: readonly ArtifactVersion[] },
): Promise<LocalOutput[]> {
  const placed: LocalOutput[] = [];
  for (const [name, content] of Object.entries(outputs)) {
    const path = join(folder, name, oneName(content.fileName));
    mkdirSync(join(folder, name), { recursive: true });
    await stageContent({ cache, share: false, signal: new AbortController().signal }, content, path);
    const { digest, size } = content;
    const version = before.find((one) => one.name === name);
    const compared = version === undefined ? null : { version: version.version, same: version.digest === digest };
    placed.push({ name, path, digest, size, before: compared });
  }
  return placed;
}
