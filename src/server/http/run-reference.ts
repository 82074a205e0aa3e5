import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import type { Queryable } from "../store/database.ts";
import { resolveRun } from "../store/runs.ts";

/** A run by its id, as `wine#12` (`wine%2312` in a URL), or `latest`. */
export const RunParams = z.object({ run: z.string().min(1).max(120) });

export async function runIdOf(db: Queryable, project: string, reference: string): Promise<string> {
  const id = await resolveRun(db, project, reference);
  if (id !== null) return id;
  throw new BerthError("not_found", `There is no run ${reference}.`, {
    advice: "`berth runs` lists them, and so does GET /api/v1/runs.",
  });
}
