import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { pack } from "tar-stream";
import type { Engine } from "./engine.ts";
import { isStatus } from "./engine-error.ts";
import { jsonLines } from "./json-lines.ts";

const REPOSITORY = "berth/shim";
export const SHIM_IN_IMAGE = "/berth-shim";

/**
 * An image of a few kilobytes with nothing but the shim, made on the spot: for Berth's own containers, so that they
 * need no registry and hold no image of a user. Returns its name.
 */
export async function ensureShimImage(engine: Engine, shim: string): Promise<string> {
  const program = readFileSync(shim);
  const tag = createHash("sha256").update(program).digest("hex").slice(0, 12);
  const image = `${REPOSITORY}:${tag}`;
  try {
    await engine.inspectImage(image);
    return image;
  } catch (error) {
    if (!isStatus(error, 404)) throw error;
  }
  const tar = pack();
  tar.entry({ name: SHIM_IN_IMAGE.slice(1), mode: 0o755 }, program);
  tar.finalize();
  const answer = await engine.importImage(Readable.from(tar), {
    repo: REPOSITORY,
    tag,
    changes: "LABEL berth.kind=shim",
  });
  for await (const line of jsonLines<{ error?: string }>(answer)) {
    if (line.error !== undefined) throw new Error(`the image ${image} could not be made: ${line.error}`);
  }
  return image;
}
