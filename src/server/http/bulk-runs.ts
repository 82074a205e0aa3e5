import { BulkCancelled, BulkCancelRequest, BulkRestarted, BulkRestartRequest } from "../../protocol/run-lists.ts";
import { restartRun } from "../scheduling/restart-run.ts";
import type { Services } from "../services.ts";
import { findRun } from "../store/runs.ts";
import { nameOf } from "./callers.ts";
import { cancelAndWake } from "./cancel-and-wake.ts";
import { toBerthError } from "./errors.ts";
import { defineRoute, type Route } from "./route.ts";
import { runIdOf } from "./run-reference.ts";

/**
 * The same for several runs, one after the other: each is a change of its own, so that what refuses one of them keeps
 * none of the others.
 */
export function bulkRunRoutes(services: Services): Route[] {
  const { database } = services;
  return [
    defineRoute({
      method: "POST",
      path: "/runs/cancel",
      access: { kind: "role", role: "developer" },
      audit: "run.cancel",
      summary: "Cancel several runs; says of each what became of it",
      tag: "runs",
      schemas: { body: BulkCancelRequest, response: BulkCancelled },
      handler: async ({ body: { runs, reason }, project, principal }) => {
        const by = nameOf(principal);
        const items = await forEach(runs, async (reference) => {
          const run = await runIdOf(database.pool, project, reference);
          return cancelAndWake(services, { project, run, facts: { by, reason: reason ?? null, code: "cancelled" } });
        });
        return { items: items.map(({ run, done, error }) => ({ run, state: done, error })) };
      },
    }),
    defineRoute({
      method: "POST",
      path: "/runs/restart",
      access: { kind: "role", role: "developer" },
      audit: "run.restart",
      summary: "Restart several runs; says of each which run was made",
      tag: "runs",
      schemas: { body: BulkRestartRequest, response: BulkRestarted },
      handler: async ({ body: { runs, requestKey, ...how }, project, principal }) => {
        const by = nameOf(principal);
        const items = await forEach(runs, async (reference) => {
          const original = await runIdOf(database.pool, project, reference);
          const key = requestKey === undefined ? {} : { requestKey: `${requestKey} ${original}` };
          const made = await restartRun(services, { project, by }, original, { ...how, ...key });
          const { id, pipeline, number } = (await findRun(database.pool, project, made.id))!;
          return { id, pipeline, number };
        });
        return { items: items.map(({ run, done, error }) => ({ run, made: done, error })) };
      },
    }),
  ];
}

interface Item<T> {
  readonly run: string;
  readonly done: T | null;
  readonly error: BulkCancelled["items"][number]["error"];
}

/** One after the other; a run that is named twice is asked for once. What is no refusal of one run ends all of it. */
async function forEach<T>(runs: readonly string[], act: (run: string) => Promise<T>): Promise<Item<T>[]> {
  const items: Item<T>[] = [];
  for (const run of new Set(runs)) {
    try {
      items.push({ run, done: await act(run), error: null });
    } catch (thrown) {
      const error = toBerthError(thrown);
      if (error.status >= 500) throw thrown;
      items.push({ run, done: null, error: error.toBody().error });
    }
  }
  return items;
}
