import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import { sourcePaths } from "../environment/required-files.ts";
import type { SourceRef } from "../protocol/plan.ts";
import { packSource } from "../runtime/pack-source.ts";
import { isBlobMissing, uploadBlob } from "./api/blobs.ts";
import type { CliContext } from "./context.ts";
import { type Connection, persistently } from "./platform/connection.ts";
import { berthHome, makeHome } from "./platform/home.ts";
import type { PipelineFile } from "./read-pipeline.ts";

/** Packs what a pipeline takes of its file's folder and uploads it where the server lacks it; null when it takes nothing. */
export async function uploadSource(
  context: CliContext,
  connection: Connection,
  { folder, plan }: PipelineFile,
): Promise<SourceRef | null> {
  const paths = sourcePaths(plan);
  if (paths.length === 0) return null;
  const home = makeHome(berthHome(context.env));
  const staging = mkdtempSync(join(home, "source-"));
  try {
    const file = join(staging, "source.tar.zst");
    // A home inside the project holds tokens and keys, which must not become part of an image.
    const { digest, size } = await packSource(realpathSync(folder), file, { paths, leaveOut: realpathSync(home) });
    const missing = await persistently(connection, () => isBlobMissing(connection.api, digest));
    if (missing) {
      await uploadBlob(connection.api, { digest, size }, file, (work) => persistently(connection, work));
    }
    return { digest, size };
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}
