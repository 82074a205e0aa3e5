import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import type { RunEvent } from "../../protocol/events.ts";
import type { LiveMessage } from "../../protocol/messages.ts";
import { RunEventPage } from "../../protocol/resources.ts";
import { isTerminal, RUN_TRANSITIONS } from "../../protocol/states.ts";
import type { Services } from "../services.ts";
import { listEvents } from "../store/events.ts";
import { runState } from "../store/runs.ts";
import { SaidSoFar } from "../store/said-so-far.ts";
import { defineRoute, type Route } from "./route.ts";
import { RunParams, runIdOf } from "./run-reference.ts";
import { STILL_HERE_INTERVAL_MS, streamAnswer } from "./stream-answer.ts";
import { watch } from "./watch.ts";

const EVENTS_PER_LOOK = 500;
/** The net under wake-ups that were lost. */
const LOOK_INTERVAL_MS = 2_000;

export function runEventsRoute(services: Services): Route {
  return defineRoute({
    method: "GET",
    path: "/runs/:run/events",
    access: { kind: "role", role: "viewer" },
    summary: "A run's events: live as text/event-stream, with what its steps say, else one page as JSON",
    tag: "runs",
    schemas: {
      params: RunParams,
      query: z.object({
        /** Only events after this one; `Last-Event-ID` says the same. */
        after: z.coerce.number().int().min(0).default(0),
        limit: z.coerce.number().int().min(1).max(EVENTS_PER_LOOK).default(EVENTS_PER_LOOK),
      }),
      response: RunEventPage,
    },
    streams: "text/event-stream",
    handler: async ({ params, query, project, request, reply, signal }) => {
      const run = { id: await runIdOf(services.database.pool, project, params.run), project };
      if (!(request.headers.accept ?? "").includes("text/event-stream")) return eventPage(services, run, query);
      const after = lastEventId(request.headers["last-event-id"]) ?? query.after;
      return streamAnswer(reply, "text/event-stream; charset=utf-8", serverSentEvents(services, run, after, signal));
    },
  });
}

function lastEventId(header: string | string[] | undefined): number | null {
  if (header === undefined || header === "") return null;
  const parsed = z.coerce.number().int().min(0).safeParse(header);
  if (parsed.success) return parsed.data;
  throw new BerthError("invalid_request", "Last-Event-ID is not the number of an event.", {
    advice: "Send the id of the last event that was received, or leave the header out.",
  });
}

interface RunInProject {
  readonly id: string;
  readonly project: string;
}

async function eventPage(
  { database }: Services,
  run: RunInProject,
  { after, limit }: { after: number; limit: number },
): Promise<RunEventPage> {
  // The state goes first: what ends the run is then among the events, or the run is not called ended.
  const ended = await hasEnded(database.pool, run);
  const items = await listEvents(database.pool, run, after, limit);
  return { items, last: items.at(-1)?.seq ?? after, ended: ended && items.length < limit };
}

async function hasEnded(db: Services["database"]["pool"], { id, project }: RunInProject): Promise<boolean> {
  const state = await runState(db, project, id);
  return state === null || isTerminal(RUN_TRANSITIONS, state);
}

/** Every event after `after`, each once and in order, until the run has ended; and what steps say meanwhile. */
async function* serverSentEvents(
  { database, wakeups }: Services,
  run: RunInProject,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<string> {
  let last = after;
  let spokeAtMs = performance.now();
  const said = new SaidSoFar(database, run.id);
  for await (const _ of watch(wakeups, [`run:${run.id}`], LOOK_INTERVAL_MS, signal)) {
    const ended = await hasEnded(database.pool, run);
    for (;;) {
      const events = await listEvents(database.pool, run, last, EVENTS_PER_LOOK);
      if (events.length > 0) {
        yield events.map(toMessage).join("");
        last = events.at(-1)!.seq;
        spokeAtMs = performance.now();
      }
      if (events.length < EVENTS_PER_LOOK) break;
    }
    for (let messages = await said.news(ended); messages.length > 0; messages = await said.news(ended)) {
      yield messages.map(toLiveMessage).join("");
      spokeAtMs = performance.now();
    }
    if (ended) return;
    if (performance.now() - spokeAtMs < STILL_HERE_INTERVAL_MS) continue;
    yield ": still here\n\n";
    spokeAtMs = performance.now();
  }
}

function toMessage(event: RunEvent): string {
  return `id: ${event.seq}\nevent: ${event.body.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

/** Without an id: whoever comes back asks for the events after the last one, and is told anew what steps said last. */
function toLiveMessage(message: LiveMessage): string {
  return `event: ${message.type}\ndata: ${JSON.stringify(message)}\n\n`;
}
