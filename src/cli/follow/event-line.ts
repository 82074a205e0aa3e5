import type { AgentEventBody, RunEvent } from "../../protocol/events.ts";
import { formatSize } from "../../std/format-size.ts";
import { formatDuration } from "../terminal/format-duration.ts";
import { plainText } from "../terminal/plain-text.ts";
import type { RunView } from "./run-view.ts";

/**
 * An event as one plain line for a log file or a pipe, or null when it says nothing to a reader. `view` is the run
 * after the event was applied to it.
 */
export function eventLine(event: RunEvent, view: RunView): string | null {
  const { body } = event;
  switch (body.type) {
    case "run.created":
    case "attempt.started":
    case "step.expanded":
    case "step.finished":
    case "attempt.finished":
      return stepLine(event, view);
    case "step.cached":
      return `${plainText(body.stepRun)} taken from the cache: made by run #${body.from.number}`;
    case "run.held_back": {
      const places = body.limit === 1 ? "1 place" : `${body.limit} places`;
      return `run held back: the group ${plainText(body.group)} has ${places}, and none is free`;
    }
    case "run.admitted":
      return `run has its place in the group ${plainText(body.group)}`;
    case "run.leased":
      return `run taken by worker ${plainText(body.workerName)}`;
    case "run.released":
      return `run given back: ${plainText(body.reason)}; waiting for a worker`;
    case "run.cancel_requested":
      return `cancel asked for by ${plainText(body.by)}${body.reason === null ? "" : `: ${plainText(body.reason)}`}`;
    case "run.started":
      return `run started on backend ${body.backend}`;
    case "image.ready": {
      const how = body.cached ? "is up to date" : `ready after ${formatDuration(body.durationMs)}`;
      return `image of environment ${body.environment} ${how} (${plainText(body.image)})`;
    }
    case "run.finished":
      return `run ${plainText(body.state)}`;
  }
}

function stepLine({ body }: RunEvent, view: RunView): string | null {
  if (body.type === "attempt.started") {
    return `${plainText(body.stepRun)} started${body.attempt > 1 ? `, attempt ${body.attempt}` : ""}`;
  }
  if (body.type === "step.expanded") return `${plainText(body.stepRun)} split into ${body.items} items`;
  if (body.type !== "attempt.finished" && body.type !== "step.finished") return null;
  const state =
    body.type === "attempt.finished" ? (body.stepState ?? `attempt ${body.attempt} ${body.state}`) : body.state;
  const took = body.type === "attempt.finished" ? body.phases.running : durationOf(view, body.stepRun);
  const time = took === undefined || state === "skipped" ? "" : ` (${formatDuration(took)})`;
  const why = body.fault === null ? "" : `: ${plainText(body.fault.message)}`;
  const line = `${plainText(body.stepRun)} ${state}${time}${why}`;
  if (body.type !== "attempt.finished" || body.stepState !== null) return line;
  return `${line.replace(/\.$/, "")}${nextLine(body.retry)}`;
}

function nextLine(retry: Extract<AgentEventBody, { type: "attempt.finished" }>["retry"]): string {
  const when = retry === undefined || retry.delayMs < 1 ? "" : ` in ${formatDuration(retry.delayMs)}`;
  const memory = retry?.memoryBytes == null ? "" : ` with ${formatSize(retry.memoryBytes)} of memory`;
  return `; another attempt follows${when}${memory}`;
}

function durationOf(view: RunView, key: string): number | undefined {
  const row = view.rows.get(key);
  if (row?.startedAtMs == null || row.finishedAtMs === null) return undefined;
  return row.finishedAtMs - row.startedAtMs;
}
