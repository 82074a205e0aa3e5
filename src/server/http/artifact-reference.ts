import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import { Name } from "../../protocol/names.ts";
import { findVersionInRun, type VersionInRun } from "../store/artifacts.ts";
import type { Queryable } from "../store/database.ts";

export const ArtifactParams = z.object({
  pipeline: Name,
  step: Name,
  name: Name,
  /** A number, or `latest`, which is null here: the newest version that is complete. */
  version: z.union([z.literal("latest").transform(() => null), z.coerce.number().int().min(1)]),
});

/** Of a page of items. */
export const ItemCursor = z.tuple([z.int(), z.int()]);

export async function versionOf(
  db: Queryable,
  project: string,
  params: z.infer<typeof ArtifactParams>,
): Promise<VersionInRun> {
  const found = await findVersionInRun(db, project, params, params.version);
  if (found !== null) return found;
  const { pipeline, step, name, version } = params;
  throw new BerthError("not_found", `There is no artifact ${pipeline}/${step}/${name}/${version ?? "latest"}.`, {
    advice:
      version === null
        ? "`latest` is the newest version whose step has succeeded as a whole."
        : "`berth artifacts ls` lists them, and so does GET /api/v1/artifacts.",
  });
}

/** Of a version that nothing was found of; `item` is the one that was asked for. */
export function nothingOf(item: string | null | undefined): BerthError {
  return item === undefined || item === null
    ? new BerthError("not_found", "Nothing of it is committed.")
    : new BerthError("not_found", `It has no item ${JSON.stringify(item)}.`, { advice: ITEMS_ADVICE });
}

const ITEMS_ADVICE = "`berth artifacts show`, without an item, lists what it has.";
