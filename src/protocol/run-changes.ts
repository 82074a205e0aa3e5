import { z } from "zod";
import { Run } from "./resources.ts";

/** `GET /runs/changes`: runs of a project as they change, for lists that are live. */

/** Runs of one answer; where more have changed, the list is to be loaded anew. */
export const RUN_CHANGES_MAX = 1_000;

/** Where a stream of changes goes on. What is in it is nobody's business but the server's. */
const Cursor = z.string().regex(/^\d{1,19}$/, "must be a cursor that this route gave out");

export const RunChangesQuery = z.object({
  /** Left out: from now on. `Last-Event-ID` says the same. */
  after: Cursor.optional(),
});

export const RunChanges = z.object({
  /** Each as it is now. One that has changed since may come again. */
  runs: z.array(Run),
  cursor: Cursor,
  /** Too much has changed, or the cursor is of another database: load the list anew. `runs` is empty then. */
  reset: z.boolean(),
});
export type RunChanges = z.infer<typeof RunChanges>;
