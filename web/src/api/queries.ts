import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import type { Overview } from "../../../src/protocol/overview.ts";
import type { RunDetail, StepRun } from "../../../src/protocol/resources.ts";
import type { ListedRun } from "../../../src/protocol/run-lists.ts";
import type { Session } from "../../../src/protocol/sessions.ts";
import { ask } from "./client.ts";

/** What the pages ask for, each under the key by which it is found, refreshed and shared. */

export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

export interface RunFilter {
  readonly state?: string | undefined;
  readonly text?: string | undefined;
}

/** For what no change of a run tells of, such as why one waits. */
const SLOWLY_EVERY_MS = 15_000;
const RUNS_OF_PAGE = 50;
/** More steps than one answer has are asked for page by page. */
const STEPS_OF_PAGE = 500;

export const session = queryOptions({
  queryKey: ["session"],
  queryFn: ({ signal }) => ask<Session>("/session", { signal }),
  staleTime: Number.POSITIVE_INFINITY,
  retry: false,
});

export const runs = (filter: RunFilter) =>
  infiniteQueryOptions({
    queryKey: ["runs", filter],
    queryFn: ({ pageParam, signal }) =>
      ask<Page<ListedRun>>("/runs", {
        query: { state: filter.state, text: filter.text, cursor: pageParam, limit: RUNS_OF_PAGE },
        signal,
      }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: SLOWLY_EVERY_MS,
  });

export const overview = (hours: number) =>
  queryOptions({
    queryKey: ["overview", hours],
    queryFn: ({ signal }) => ask<Overview>("/overview", { query: { hours }, signal }),
    refetchInterval: SLOWLY_EVERY_MS,
    // What was shown stays while another time is asked for.
    placeholderData: keepPreviousData,
  });

export const runPath = (pipeline: string, number: string) => `/runs/${encodeURIComponent(`${pipeline}#${number}`)}`;

export const run = (pipeline: string, number: string) =>
  queryOptions({
    queryKey: ["run", pipeline, number],
    queryFn: ({ signal }) => ask<RunDetail>(runPath(pipeline, number), { signal }),
  });

export const steps = (pipeline: string, number: string) =>
  queryOptions({
    queryKey: ["run", pipeline, number, "steps"],
    queryFn: async ({ signal }) => {
      const all: StepRun[] = [];
      let cursor: string | undefined;
      do {
        const query = { cursor, limit: STEPS_OF_PAGE };
        const page: Page<StepRun> = await ask(`${runPath(pipeline, number)}/steps`, { query, signal });
        all.push(...page.items);
        cursor = page.next ?? undefined;
      } while (cursor !== undefined);
      return all;
    },
  });
