import { pageOf } from "../../protocol/resources.ts";
import { ListedRun, RunListQuery } from "../../protocol/run-lists.ts";
import { withWaiting } from "../scheduling/waiting-in-short.ts";
import type { Services } from "../services.ts";
import { listRuns } from "../store/run-lists.ts";
import { decodeKey, encodeCursor, nextPage } from "./paging.ts";
import { defineRoute, type Route } from "./route.ts";

export function runListRoute({ database }: Services): Route {
  return defineRoute({
    method: "GET",
    path: "/runs",
    access: { kind: "role", role: "viewer" },
    summary: "List runs, newest first; a page may have fewer than its limit, even none, and one after it",
    tag: "runs",
    schemas: { query: RunListQuery, response: pageOf(ListedRun) },
    handler: async ({ query: { cursor, limit, ...filter }, project }) => {
      const page = { before: decodeKey(cursor), limit: limit + 1 };
      const { runs, lookedTo } = await listRuns(database.pool, project, filter, page);
      const { items, next } = nextPage(runs, limit, ({ id }) => encodeCursor([id]));
      return {
        items: await withWaiting(database.pool, project, items),
        next: lookedTo === null ? next : encodeCursor([lookedTo]),
      };
    },
  });
}
