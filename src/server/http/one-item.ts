import type { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import type { Services } from "../services.ts";
import { listItems } from "../store/artifacts.ts";
import { type ArtifactParams, nothingOf, versionOf } from "./artifact-reference.ts";

/** Named in the error that asks to choose one. */
const ITEMS_NAMED = 20;

/** The item of a version that a request is about; of a version with several, it has to name one. */
export async function oneItem(
  services: Pick<Services, "database">,
  project: string,
  params: z.infer<typeof ArtifactParams>,
  item: string | undefined,
): Promise<ArtifactVersion> {
  const version = await versionOf(services.database.pool, project, params);
  const items = await listItems(services.database.pool, version, { item, after: null, limit: ITEMS_NAMED + 1 });
  if (items.length === 1) return items[0]!;
  if (items.length === 0) throw nothingOf(item);
  throw new BerthError("invalid_request", "This version has several items.", {
    advice: "Choose one: --item of the command line, ?item= of the API. `berth artifacts show` lists them.",
    details: { items: items.slice(0, ITEMS_NAMED).map((each) => each.item), more: items.length > ITEMS_NAMED },
  });
}
