import { setTimeout as sleep } from "node:timers/promises";
import { BerthError } from "../../protocol/errors.ts";
import { RUN_CHANGES_MAX, RunChanges, RunChangesQuery } from "../../protocol/run-changes.ts";
import type { Services } from "../services.ts";
import type { Database } from "../store/database.ts";
import { type Horizon, horizonNow, runsChangedSince } from "../store/run-changes.ts";
import { defineRoute, type Route } from "./route.ts";
import { STILL_HERE_INTERVAL_MS, streamAnswer } from "./stream-answer.ts";
import { watch } from "./watch.ts";

/** That a run was made or has ended wakes who watches; what else changes is seen at the next look. */
const LOOK_INTERVAL_MS = 1_000;
/** Looks of one stream are this far apart, however much happens. */
const REST_MS = 200;

export function runChangesRoute(services: Services): Route {
  return defineRoute({
    method: "GET",
    path: "/runs/changes",
    access: { kind: "role", role: "viewer" },
    summary: "Runs as they change: live as text/event-stream, else those since a cursor as JSON",
    tag: "runs",
    schemas: { query: RunChangesQuery, response: RunChanges },
    streams: "text/event-stream",
    handler: async ({ query, project, request, reply, signal }) => {
      const after = lastEventId(request.headers["last-event-id"]) ?? query.after;
      const changes = new ChangedSince(services.database, project, after === undefined ? null : BigInt(after));
      if (!(request.headers.accept ?? "").includes("text/event-stream")) return await changes.next();
      return streamAnswer(reply, "text/event-stream; charset=utf-8", asStream(services, changes, signal));
    },
  });
}

function lastEventId(header: string | string[] | undefined): string | undefined {
  if (header === undefined || header === "") return undefined;
  const parsed = RunChangesQuery.safeParse({ after: header });
  if (parsed.success) return parsed.data.after;
  throw new BerthError("invalid_request", "Last-Event-ID is not one that this stream gave out.", {
    advice: "Send the id of the last event that was received, or leave the header out.",
  });
}

/** What has changed since the last look, each change once. */
class ChangedSince {
  readonly #database: Database;
  readonly #project: string;
  #since: Horizon | null;
  /** By id, what was told of changes that the next look finds again. */
  #told = new Map<string, Horizon>();

  constructor(database: Database, project: string, since: Horizon | null) {
    this.#database = database;
    this.#project = project;
    this.#since = since;
  }

  async next(): Promise<RunChanges> {
    const { pool } = this.#database;
    if (this.#since === null) return this.#at(await horizonNow(pool), false);
    const { changed, horizon } = await runsChangedSince(pool, this.#project, this.#since, RUN_CHANGES_MAX + 1);
    // A database that was restored is behind the cursors that it gave out before.
    if (changed.length > RUN_CHANGES_MAX || this.#since > horizon) return this.#at(horizon, true);
    const fresh = changed.filter((change) => this.#told.get(change.run.id) !== change.in);
    this.#told = new Map(changed.filter((change) => change.in >= horizon).map(({ run, in: by }) => [run.id, by]));
    this.#since = horizon;
    return { runs: fresh.map(({ run }) => run), cursor: String(horizon), reset: false };
  }

  #at(horizon: Horizon, reset: boolean): RunChanges {
    this.#told.clear();
    this.#since = horizon;
    return { runs: [], cursor: String(horizon), reset };
  }
}

/** `ready` with the cursor from which the stream begins, then each `run` as it changes; `reset` where that is too much. */
async function* asStream({ wakeups }: Services, changes: ChangedSince, signal: AbortSignal): AsyncGenerator<string> {
  let spokeAtMs = Number.NEGATIVE_INFINITY;
  let isFirst = true;
  for await (const _ of watch(wakeups, ["queue"], LOOK_INTERVAL_MS, signal)) {
    const { runs, cursor, reset } = await changes.next();
    const messages = runs.map((run) => ({ event: "run", data: run as unknown }));
    if (reset) messages.push({ event: "reset", data: {} });
    else if (isFirst) messages.push({ event: "ready", data: {} });
    isFirst = false;
    if (messages.length > 0) {
      // Whoever is cut off in between comes back with the cursor from before, and is told all of it again.
      const last = messages.length - 1;
      yield messages.map((message, index) => toMessage(message, index === last ? cursor : null)).join("");
      spokeAtMs = performance.now();
    } else if (performance.now() - spokeAtMs >= STILL_HERE_INTERVAL_MS) {
      // With the cursor: who comes back after a quiet hour need not be told of what was before it.
      yield `id: ${cursor}\n: still here\n\n`;
      spokeAtMs = performance.now();
    }
    await sleep(REST_MS, undefined, { signal }).catch(() => {});
  }
}

function toMessage({ event, data }: { readonly event: string; readonly data: unknown }, id: string | null): string {
  return `${id === null ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
