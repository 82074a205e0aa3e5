import type { AgentEventBody, RunEvent, ServerEventBody } from "../../protocol/events.ts";
import type { Queryable } from "./database.ts";
import { jsonParameter } from "./json-parameter.ts";

export interface NewEvent {
  /** ISO 8601; null is now. */
  readonly at: string | null;
  readonly body: AgentEventBody | ServerEventBody;
}

/** Appends to a run's stream after `lastSeq`. The caller holds the run's row lock, so the stream has no gaps. */
export async function insertEvents(
  client: Queryable,
  run: { readonly id: string; readonly project: string; readonly lastSeq: number },
  events: readonly NewEvent[],
): Promise<void> {
  if (events.length === 0) return;
  const rows = events.map((event, index) => ({ seq: run.lastSeq + index + 1, at: event.at, body: event.body }));
  await client.query({
    name: "insert-events",
    text: `INSERT INTO run_events (run_id, seq, project_id, at, body)
     SELECT $1, e.seq, $2, COALESCE(e.at, now()), e.body
     FROM json_to_recordset($3::json) AS e (seq integer, at timestamptz, body json)`,
    values: [run.id, run.project, jsonParameter(rows)],
  });
}

/** Adds events of the server's own; takes the run's row lock by advancing its sequence number. */
export async function appendServerEvents(
  client: Queryable,
  run: { readonly id: string; readonly project: string },
  bodies: readonly (AgentEventBody | ServerEventBody)[],
): Promise<void> {
  const { rows } = await client.query<{ lastSeq: number }>(
    `UPDATE runs SET stream_seq = stream_seq + $2 WHERE id = $1 RETURNING stream_seq - $2 AS "lastSeq"`,
    [run.id, bodies.length],
  );
  await insertEvents(
    client,
    { ...run, lastSeq: rows[0]!.lastSeq },
    bodies.map((body) => ({ at: null, body })),
  );
}

export async function listEvents(
  db: Queryable,
  run: { readonly id: string; readonly project: string },
  after: number,
  limit: number,
): Promise<RunEvent[]> {
  const { rows } = await db.query<{ seq: number; at: Date; body: RunEvent["body"] }>({
    name: "list-events",
    text: `SELECT seq, at, body FROM run_events WHERE run_id = $1 AND project_id = $2 AND seq > $3 ORDER BY seq LIMIT $4`,
    values: [run.id, run.project, after, limit],
  });
  return rows.map(({ seq, at, body }) => ({ seq, at: at.toISOString(), body }));
}
