import { AttemptUsage } from "../../protocol/attempt-usage.ts";
import { RunEvent } from "../../protocol/events.ts";
import { LiveMessage, MetricSummary } from "../../protocol/messages.ts";
import { OpenLineageEvent } from "../../protocol/openlineage.ts";
import {
  type CreateRunInput,
  LogLine,
  PAGE_LIMIT_MAX,
  pageOf,
  RestartedRun,
  type RestartRunRequest,
  Run,
  RunDetail,
  StepRun,
} from "../../protocol/resources.ts";
import { ListedRun } from "../../protocol/run-lists.ts";
import { isTerminal, RUN_TRANSITIONS, RunState } from "../../protocol/states.ts";
import { usageError } from "../cli-error.ts";
import { allPages } from "./all-pages.ts";
import type { ApiClient } from "./client.ts";
import { parseEventStream } from "./event-stream.ts";
import { readLines } from "./read-lines.ts";
import { streamBody } from "./stream-body.ts";

/** Of an id, or of a pipeline's name with a number. */
const RUN_NAME_MAX_CHARS = 120;

/** Runs, as the API has them. A run is named by its id or like `wine#12`. */

const RunPage = pageOf(ListedRun);
const StepRunPage = pageOf(StepRun);
const MetricPage = pageOf(MetricSummary);
const UsagePage = pageOf(AttemptUsage);

export function createRun(api: ApiClient, input: CreateRunInput): Promise<RunDetail> {
  return api.post("/runs", input, RunDetail);
}

export function getRun(api: ApiClient, run: string): Promise<RunDetail> {
  return api.get(runPath(run), RunDetail);
}

export function cancelRun(api: ApiClient, run: string, reason: string | null): Promise<Run> {
  return api.post(`${runPath(run)}/cancel`, { reason }, Run);
}

export function restartRun(api: ApiClient, run: string, input: RestartRunRequest): Promise<RestartedRun> {
  return api.post(`${runPath(run)}/restart`, input, RestartedRun);
}

/** As `GET /runs` has them. */
export interface RunFilter {
  readonly pipeline?: string | undefined;
  readonly state?: string | undefined;
  readonly worker?: string | undefined;
  readonly label?: readonly string[] | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly startedBy?: string | undefined;
  readonly text?: string | undefined;
}

/** The newest runs that fit, `limit` of them at most: a page may have fewer although there are more. */
export async function listRuns(
  api: ApiClient,
  { limit, ...filter }: RunFilter & { readonly limit: number },
): Promise<ListedRun[]> {
  const runs: ListedRun[] = [];
  let cursor: string | undefined;
  do {
    const query = { ...filter, limit: Math.min(limit - runs.length, PAGE_LIMIT_MAX), cursor };
    const page = await api.get("/runs", RunPage, { query });
    runs.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor !== undefined && runs.length < limit);
  return runs;
}

/** Whether there are runs that have not ended; counts at most one per state. */
export async function countLiveRuns(api: ApiClient): Promise<number> {
  const live = RunState.options.filter((state) => !isTerminal(RUN_TRANSITIONS, state));
  const pages = await Promise.all(live.map((state) => listRuns(api, { state, limit: 1 })));
  return pages.flat().length;
}

export function listStepRuns(api: ApiClient, run: string, filter: { readonly step?: string } = {}): Promise<StepRun[]> {
  return allPages((query) => api.get(`${runPath(run)}/steps`, StepRunPage, { query: { ...query, ...filter } }));
}

/** A run's events after `after`, as they come, and what its steps say meanwhile, until the server ends the stream. */
export async function* streamEvents(
  api: ApiClient,
  run: string,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<RunEvent | LiveMessage> {
  const headers = { accept: "text/event-stream", "last-event-id": String(after) };
  const response = await api.stream(`${runPath(run)}/events`, { headers, signal });
  for await (const { event, data } of parseEventStream(streamBody(response, signal))) {
    const isLive = event === "attempt.progress" || event === "attempt.metric";
    yield (isLive ? LiveMessage : RunEvent).parse(JSON.parse(data));
  }
}

/** The last value of each metric of a run, by step run and attempt. */
export function listMetrics(api: ApiClient, run: string): Promise<MetricSummary[]> {
  return allPages((query) => api.get(`${runPath(run)}/metrics/summary`, MetricPage, { query }));
}

/** What the attempts of a run used; `step` as in LogQuery. */
export function listAttemptUsage(
  api: ApiClient,
  run: string,
  filter: { readonly step?: string | undefined; readonly attempt?: number | undefined },
): Promise<AttemptUsage[]> {
  return allPages((query) => api.get(`${runPath(run)}/usage`, UsagePage, { query: { ...query, ...filter } }));
}

export interface LogQuery {
  /** A step run's key, a step's name, or a batch with all its items. */
  readonly step?: string | undefined;
  readonly attempt?: number | undefined;
  /** Only this many lines before what comes next. */
  readonly tail?: number | undefined;
  readonly follow?: boolean | undefined;
}

/** Log chunks in order of arrival; with `follow`, until what is followed has ended. */
export async function* streamLogs(
  api: ApiClient,
  run: string,
  { step, attempt, tail, follow }: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  const response = await api.stream(`${runPath(run)}/logs`, {
    headers: { accept: "application/x-ndjson" },
    query: { step, attempt, tail, follow: follow ? "true" : undefined },
    signal,
  });
  for await (const line of readLines(streamBody(response, signal))) {
    if (line !== "") yield LogLine.parse(JSON.parse(line));
  }
}

/** A run as events of OpenLineage. */
export async function* streamOpenLineage(
  api: ApiClient,
  run: string,
  signal: AbortSignal,
): AsyncGenerator<OpenLineageEvent> {
  const response = await api.stream(`${runPath(run)}/openlineage`, { signal });
  for await (const line of readLines(streamBody(response, signal))) yield OpenLineageEvent.parse(JSON.parse(line));
}

/** `/runs/wine%2312`; refuses what cannot name a run. */
export function runPath(run: string): string {
  if (run === "" || run.length > RUN_NAME_MAX_CHARS) {
    const what = run === "" ? "An empty text" : `A text of ${run.length} characters`;
    throw usageError(`${what} names no run.`, "A run is named like wine#12, by its id, or as latest.");
  }
  return `/runs/${encodeURIComponent(run)}`;
}
