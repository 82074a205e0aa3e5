import { setTimeout as sleep } from "node:timers/promises";
import type { RunEvent } from "../../protocol/events.ts";
import { LogLines } from "../../protocol/log-lines.ts";
import type { LiveMessage } from "../../protocol/messages.ts";
import { isTerminal, RUN_TRANSITIONS } from "../../protocol/states.ts";
import { getRun, streamEvents, streamLogs } from "../api/runs.ts";
import { CliError } from "../cli-error.ts";
import { type Connection, isConnectionLoss, persistently } from "../platform/connection.ts";
import type { Progress } from "./progress.ts";
import { applyEvent, applyMessage, type RunView } from "./run-view.ts";

/** A run that is not taken for this long gets an explanation why. */
const EXPLAIN_WAIT_MS = 5_000;
/** The log stream ends by itself once the run has; after a loss of the server it may have to come back first. */
const LOG_TAIL_MS = 30_000;
/** The last event and the end of the logs come by two streams, this much apart at most. */
const LAST_EVENT_MS = 1_000;
const LOOK_INTERVAL_MS = 20;
/** Reconnections without a single event in between before following is given up; each waits longer. */
const RECONNECTIONS_MAX = 30;

export interface FollowOptions {
  readonly connection: Connection;
  readonly run: string;
  /** Brought up to date as events come. */
  readonly view: RunView;
  readonly progress: Progress;
  readonly withLogs: boolean;
}

/**
 * Follows a run to its end, across losses of the server: the event stream goes on after the last event seen, the log
 * stream after the last byte.
 */
export async function followRun(options: FollowOptions): Promise<void> {
  if (isTerminal(RUN_TRANSITIONS, options.view.state)) return;
  const ended = new AbortController();
  const logs = options.withLogs ? followLogs(options, ended.signal) : Promise.resolve();
  const waiting = explainWaiting(options, ended.signal);
  // Whatever fails first is reported by the wait for the events below or after them, never as unhandled.
  logs.catch(() => {});
  waiting.catch(() => {});
  try {
    for await (const event of eventsToEnd(options)) {
      if ("type" in event) {
        options.progress.said(event);
        applyMessage(options.view, event);
      } else {
        applyEvent(options.view, event);
        options.progress.event(event, options.view);
      }
    }
    await Promise.race([logs, sleep(LOG_TAIL_MS, undefined, { ref: false })]);
  } finally {
    ended.abort();
  }
}

/** Every event of the run exactly once and in order, ending with `run.finished`; between them, what steps say. */
async function* eventsToEnd({ connection, run, view }: FollowOptions): AsyncGenerator<RunEvent | LiveMessage> {
  let last = view.seq;
  for (let losses = 0; losses < RECONNECTIONS_MAX; losses++) {
    const attempt = new AbortController();
    try {
      for await (const event of streamEvents(connection.api, run, last, attempt.signal)) {
        if ("type" in event) {
          yield event;
          continue;
        }
        if (event.seq <= last) continue;
        last = event.seq;
        losses = 0;
        yield event;
        if (event.body.type === "run.finished") return;
      }
    } catch (error) {
      if (!isConnectionLoss(error)) throw error;
    } finally {
      attempt.abort();
    }
    await connection.recover(losses + 1);
  }
  throw new CliError("The connection to the server was lost and did not come back.", {
    advice: ["The run goes on without this command; `berth run show` tells how it went."],
  });
}

/** Every log line of the run once and in order per stream, until the run is over. */
async function followLogs(options: FollowOptions, signal: AbortSignal): Promise<void> {
  const { connection, run, progress } = options;
  const lines = new LogLines();
  for (let losses = 1; !signal.aborted; losses++) {
    try {
      for await (const chunk of streamLogs(connection.api, run, { follow: true }, signal)) {
        losses = 1;
        for (const line of lines.add(chunk)) progress.log(line);
      }
      if (await isOver(options.view, signal)) break;
    } catch (error) {
      if (signal.aborted) break;
      if (!isConnectionLoss(error)) throw error;
    }
    await connection.recover(losses, signal).catch(() => {});
  }
  for (const line of lines.flush()) progress.log(line);
}

/**
 * Whether the log stream ended because the run did. A server that stops ends it in just the same way; the event that
 * says so comes by another stream, and may be a moment later.
 */
async function isOver(view: RunView, signal: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + LAST_EVENT_MS;
  while (!isTerminal(RUN_TRANSITIONS, view.state)) {
    if (signal.aborted || performance.now() > deadline) return false;
    await sleep(LOOK_INTERVAL_MS, undefined, { signal }).catch(() => {});
  }
  return true;
}

/** Says why nothing happens when nothing happens. */
async function explainWaiting({ connection, run, view, progress }: FollowOptions, signal: AbortSignal): Promise<void> {
  let said = "";
  while (!signal.aborted) {
    await sleep(EXPLAIN_WAIT_MS, undefined, { signal, ref: false }).catch(() => {});
    if (signal.aborted || view.state !== "queued") continue;
    const detail = await persistently(connection, () => getRun(connection.api, run), signal);
    const summary = detail.waiting?.summary ?? "";
    const hint = detail.waiting?.possible === false ? " Ctrl-C cancels it." : "";
    if (summary !== "" && summary !== said) progress.notice(`waiting: ${summary}${hint}`);
    said = summary;
  }
}
