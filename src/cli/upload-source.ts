import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Environment, Plan, SourceRef } from "../protocol/plan.ts";
import { packSource } from "../runtime/pack-source.ts";
import { isBlobMissing, uploadBlob } from "./api/blobs.ts";
import type { CliContext } from "./context.ts";
import { type Connection, persistently } from "./platform/connection.ts";
import { berthHome } from "./platform/home.ts";
import type { PipelineFile } from "./read-pipeline.ts";

/** Packs the folder of a pipeline file and uploads it where the server lacks it; null when no step needs it. */
export async function uploadSource(
  context: CliContext,
  connection: Connection,
  { folder, plan }: PipelineFile,
): Promise<SourceRef | null> {
  if (!needsSource(plan)) return null;
  const home = berthHome(context.env);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const staging = mkdtempSync(join(home, "source-"));
  try {
    const file = join(staging, "source.tar.zst");
    // A home inside the project holds tokens and keys, which must not become part of an image.
    const { digest, size } = await packSource(realpathSync(folder), file, { leaveOut: realpathSync(home) });
    await persistently(connection, async () => {
      if (await isBlobMissing(connection.api, digest)) await uploadBlob(connection.api, { digest, size }, file);
    });
    return { digest, size };
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

export function needsSource(plan: Plan): boolean {
  return Object.values(plan.environments).some(usesSource);
}

function usesSource(environment: Environment): boolean {
  switch (environment.kind) {
    case "dockerfile":
      return true;
    case "image":
      return environment.source !== null;
    case "recipe":
      return [environment.source, environment.python?.requirements, environment.node?.lockfile].some(
        (path) => path != null,
      );
  }
}
