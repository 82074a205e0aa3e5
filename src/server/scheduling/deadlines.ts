import type { LeaseRef } from "../../protocol/agent-api.ts";
import { timeUp } from "../../protocol/cancel.ts";
import { BerthError } from "../../protocol/errors.ts";
import { fault } from "../../protocol/faults.ts";
import type { Services } from "../services.ts";
import type { Database } from "../store/database.ts";
import { appendServerEvents } from "../store/events.ts";
import { cancelRun } from "./cancel.ts";
import { closeRun } from "./close-run.ts";
import { passPlacesOn } from "./places.ts";
import { releaseRun } from "./release.ts";

/** An agent stops a run whose time is up by itself; the server is there for one that does not. */
export const AGENT_FIRST_MS = 15_000;
/** What a run that is being stopped may take for grace, its last steps, kept outputs and their upload. */
export const STOP_MAX_MS = 20 * 60_000;
/** Beside its time limit an attempt has inputs to stage and outputs to upload, which take as long as they take. */
export const ATTEMPT_SLACK_MS = 60 * 60_000;
/** After an outage of the server agents come first: what was in time is reported within this. */
export const CATCH_UP_MS = 5 * 60_000;
const ATTEMPT_FACTOR = 2;
/** Of each kind, in one pass; the next comes soon. */
const PER_PASS = 200;

/**
 * Ends what has used up its time: runs that no worker took, runs that their agent did not stop, agents that do not end
 * what they are told to, or hang over an attempt. Only the database's clock counts, and each change is a
 * compare-and-swap of its own, so that replicas may look at the same time. The worker has to be alive: what a lost
 * worker holds is for reap.ts.
 */
export async function enforceDeadlines(services: Parts): Promise<void> {
  const { database, wakeups, log } = services;
  if (!(await isSteady(database))) return;
  for (const due of await dueRuns(database, QUEUED_TOO_LONG)) {
    const { run } = due;
    if (await failQueued(database, due)) {
      log.info({ run }, "a run waited too long");
      await passPlacesOn(services, [run]);
    }
    wakeups.notify(`run:${run}`);
  }
  for (const { run, project, ms } of await dueRuns(database, RAN_TOO_LONG)) {
    const worker = await stopRun(services, run, project, ms);
    wakeups.notify(`run:${run}`);
    if (worker !== null) wakeups.notify(`worker:${worker}`);
  }
  for (const [what, why] of GIVEN_UP) {
    for (const lease of await dueLeases(database, what)) {
      const released = await database.transaction((client) => releaseRun(client, lease, why));
      if (released === null) continue;
      log.warn(lease, `gave a run up: ${why}`);
      wakeups.notify(`run:${lease.run}`);
      if (released === "queued") wakeups.notify("queue");
      else await passPlacesOn(services, [lease.run]);
    }
  }
}

async function isSteady(database: Database): Promise<boolean> {
  const { rows } = await database.pool.query<{ steady: boolean }>(
    `SELECT steady_since < now() - ${CATCH_UP_MS} * interval '1 ms' AS steady FROM reaper`,
  );
  return rows[0]!.steady;
}

type Parts = Pick<Services, "database" | "wakeups" | "log">;

interface DueRun {
  readonly run: string;
  readonly project: string;
  /** The limit that is over. */
  readonly ms: number;
  /** The group that it waits for a place in; null for one that waits for a worker. */
  readonly heldBackBy?: string | null;
}

const QUEUED_TOO_LONG = `SELECT id AS run, project_id AS project, queue_timeout_ms AS ms,
    CASE WHEN held_back THEN concurrency_group END AS "heldBackBy" FROM runs
  WHERE state = 'queued' AND started_at IS NULL AND created_at < now() - queue_timeout_ms * interval '1 ms'`;

const RAN_TOO_LONG = `SELECT id AS run, project_id AS project, timeout_ms AS ms FROM runs
  WHERE state IN ('queued', 'running')
    AND started_at < now() - (timeout_ms + CASE state WHEN 'running' THEN ${AGENT_FIRST_MS} ELSE 0 END) * interval '1 ms'`;

const IS_ALIVE = "lease_expires_at > now()";

const GIVEN_UP = [
  [
    `SELECT id AS run, epoch FROM runs WHERE state = 'cancelling' AND ${IS_ALIVE}
       AND cancel_requested_at < now() - ${STOP_MAX_MS} * interval '1 ms'`,
    "its worker did not stop it in time",
  ],
  [
    `SELECT DISTINCT r.id AS run, r.epoch FROM attempts a JOIN runs r ON r.id = a.run_id AND r.epoch = a.epoch
     WHERE a.state = 'running' AND r.state = 'running' AND ${IS_ALIVE}
       AND a.started_at < now() - (${ATTEMPT_FACTOR} * a.timeout_ms + ${ATTEMPT_SLACK_MS}) * interval '1 ms'`,
    "its worker did not end an attempt whose time was up",
  ],
] as const;

async function dueRuns(database: Database, query: string): Promise<DueRun[]> {
  return (await database.pool.query<DueRun>(`${query} LIMIT ${PER_PASS}`)).rows;
}

async function dueLeases(database: Database, query: string): Promise<LeaseRef[]> {
  return (await database.pool.query<LeaseRef>(`${query} LIMIT ${PER_PASS}`)).rows;
}

/** Who has to hear of it; null where nobody has, as for a run that ended by itself in the meantime. */
async function stopRun(services: Parts, run: string, project: string, ms: number): Promise<string | null> {
  try {
    return (await cancelRun(services, { project, run, facts: timeUp("the server", ms) })).worker;
  } catch (error) {
    if (error instanceof BerthError && error.code === "conflict") return null;
    throw error;
  }
}

async function failQueued(database: Database, { run, project, ms, heldBackBy }: DueRun): Promise<boolean> {
  const limit = `within its queueTimeout of ${ms / 1000} s`;
  const why =
    heldBackBy == null
      ? fault("deadline-queue", `No worker took the run ${limit}.`)
      : fault("deadline-queue", `The run got no place in the group "${heldBackBy}" ${limit}.`, {
          advice:
            "Raise queueTimeout or the limit of the group, or find out why the runs that hold its places take long.",
        });
  return database.transaction(async (client) => {
    const { rowCount } = await client.query(
      `UPDATE runs SET state = 'failed', fault = $2, finished_at = now()
       WHERE id = $1 AND state = 'queued' AND started_at IS NULL`,
      [run, why],
    );
    if (rowCount === 0) return false;
    await closeRun(client, run, "failed");
    await appendServerEvents(client, { id: run, project }, [{ type: "run.finished", state: "failed", fault: why }]);
    return true;
  });
}
