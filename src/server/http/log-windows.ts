import { BerthError } from "../../protocol/errors.ts";
import { LogMatches, LogSearchQuery, LogWindow, LogWindowQuery } from "../../protocol/log-windows.ts";
import { isTerminal, RUN_TRANSITIONS } from "../../protocol/states.ts";
import { searchLog } from "../logs/log-search.ts";
import { countOldLines, readWindow } from "../logs/log-window.ts";
import type { Services } from "../services.ts";
import type { LogFilter } from "../store/logs.ts";
import { runState } from "../store/runs.ts";
import { requireStep } from "./logs.ts";
import { defineRoute, type Route } from "./route.ts";
import { RunParams, runIdOf } from "./run-reference.ts";
import { watch } from "./watch.ts";

/** The net under wake-ups that were lost. */
const LOOK_INTERVAL_MS = 1_000;

/** Logs as a viewer reads them that shows some of many lines. */
export function logWindowRoutes(services: Services): Route[] {
  const { database, wakeups } = services;
  return [
    defineRoute({
      method: "GET",
      path: "/runs/:run/logs/lines",
      access: { kind: "role", role: "viewer" },
      summary: "Lines of a log by their numbers, and how many there are",
      tag: "runs",
      schemas: { params: RunParams, query: LogWindowQuery, response: LogWindow },
      handler: async ({ params, query: { from, limit, waitMs, ...of }, project, signal }) => {
        const run = await runIdOf(database.pool, project, params.run);
        const filter: LogFilter = { run, ...of };
        await requireStep(services, run, of.step);
        await countOldLines(database.pool, filter);
        const look = async (): Promise<LogWindow> => {
          // The end goes first: what was written before it is then in the window.
          const state = await runState(database.pool, project, run);
          const ended = state === null || isTerminal(RUN_TRANSITIONS, state);
          return { ...(await readWindow(database.pool, filter, { from, limit })), ended };
        };
        if (waitMs === 0) return look();
        const deadline = AbortSignal.any([signal, AbortSignal.timeout(waitMs)]);
        for await (const _ of watch(wakeups, [`run:${run}`], LOOK_INTERVAL_MS, deadline)) {
          const window = await look();
          if (window.lines.length > 0 || window.ended) return window;
        }
        return look();
      },
    }),
    defineRoute({
      method: "GET",
      path: "/runs/:run/logs/search",
      access: { kind: "role", role: "viewer" },
      summary: "Numbers of the lines of a log that hold a text, or look like errors, in bounded time",
      tag: "runs",
      schemas: { params: RunParams, query: LogSearchQuery, response: LogMatches },
      handler: async ({ params, query: { step, attempt, stream, ...search }, project }) => {
        const run = await runIdOf(database.pool, project, params.run);
        if ((search.q === undefined) !== search.errors) {
          throw new BerthError("invalid_request", "A search looks for a text, or for errors.", {
            advice: "Give either q or errors=true.",
          });
        }
        await requireStep(services, run, step);
        const filter: LogFilter = { run, step, attempt, stream };
        await countOldLines(database.pool, filter);
        return searchLog(database.pool, filter, search);
      },
    }),
  ];
}
