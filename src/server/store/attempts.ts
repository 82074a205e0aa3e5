import type { Usage } from "../../protocol/attempt-usage.ts";
import type { AttemptImage, AttemptWait, EndSoFar, Phases } from "../../protocol/events.ts";
import type { Fault } from "../../protocol/faults.ts";
import type { Attempt } from "../../protocol/resources.ts";
import type { AttemptState } from "../../protocol/states.ts";
import { timelineOf } from "../../protocol/timeline.ts";
import type { Queryable } from "./database.ts";
import { jsonParameter } from "./json-parameter.ts";

/** An attempt as a batch of events leaves it. */
export interface AttemptRow {
  readonly stepRun: string;
  readonly attempt: number;
  readonly backend: string;
  readonly object: string;
  readonly timeoutMs: number | null;
  readonly image: AttemptImage | null;
  readonly memoryBytes: number | null;
  readonly runEnd: EndSoFar | null;
  readonly waited: AttemptWait | null;
  readonly startedAt: string;
  readonly end: AttemptEnd | null;
}

export interface AttemptEnd {
  readonly state: Exclude<AttemptState, "running">;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly fault: Fault | null;
  readonly phases: Phases;
  readonly usage: Usage;
  readonly warnings: readonly string[];
  readonly finishedAt: string;
}

const END_COLUMNS = `state text, "exitCode" integer, signal text, fault jsonb, phases jsonb, usage jsonb,
  warnings text[], "finishedAt" timestamptz`;

export async function insertAttempts(
  client: Queryable,
  lease: { readonly run: string; readonly epoch: number; readonly worker: string; readonly project: string },
  attempts: readonly AttemptRow[],
): Promise<void> {
  if (attempts.length === 0) return;
  await client.query({
    name: "insert-attempts",
    text: `INSERT INTO attempts (run_id, step_run, attempt, project_id, epoch, worker_id, backend, object, state, exit_code,
       signal, fault, phases, usage, warnings, started_at, finished_at, timeout_ms, image, memory_bytes, run_end, waited)
     SELECT $1, a."stepRun", a.attempt, $2, $3, $4, a.backend, a.object, COALESCE(a.state, 'running'), a."exitCode",
            a.signal, a.fault, COALESCE(a.phases, '{}'), COALESCE(a.usage, '{}'), COALESCE(a.warnings, '{}'),
            a."startedAt", a."finishedAt", a."timeoutMs", a.image, a."memoryBytes", a."runEnd", a.waited
     FROM json_to_recordset($5::json) AS a ("stepRun" text, attempt integer, backend text, object text,
       "timeoutMs" bigint, image jsonb, "memoryBytes" bigint, "runEnd" jsonb, waited jsonb, "startedAt" timestamptz, ${END_COLUMNS})`,
    values: [
      lease.run,
      lease.project,
      lease.epoch,
      lease.worker,
      jsonParameter(attempts.map(({ end, ...start }) => ({ ...start, ...end }))),
    ],
  });
}

/** Ends attempts that run; returns how many of them did. */
export async function endAttempts(
  client: Queryable,
  run: string,
  ends: readonly (AttemptEnd & { readonly stepRun: string; readonly attempt: number })[],
): Promise<number> {
  if (ends.length === 0) return 0;
  const { rowCount } = await client.query({
    name: "end-attempts",
    text: `UPDATE attempts a SET state = e.state, exit_code = e."exitCode", signal = e.signal, fault = e.fault,
       phases = e.phases, usage = e.usage, warnings = e.warnings, finished_at = e."finishedAt"
     FROM json_to_recordset($2::json) AS e ("stepRun" text, attempt integer, ${END_COLUMNS})
     WHERE a.run_id = $1 AND a.step_run = e."stepRun" AND a.attempt = e.attempt AND a.state = 'running'`,
    values: [run, jsonParameter(ends)],
  });
  return rowCount ?? 0;
}

/** Nobody will report the end of what still runs: there is no evidence of how it ended. */
export async function loseRunningAttempts(client: Queryable, run: string, fault: Fault): Promise<void> {
  await client.query(
    `UPDATE attempts SET state = 'lost', fault = $2, finished_at = now() WHERE run_id = $1 AND state = 'running'`,
    [run, fault],
  );
}

type AttemptOfStepRun = Attempt & { readonly stepRun: string };

/** All attempts of these step runs, oldest first. */
export async function listAttempts(
  db: Queryable,
  run: string,
  stepRuns: readonly string[],
): Promise<AttemptOfStepRun[]> {
  if (stepRuns.length === 0) return [];
  const { rows } = await db.query<ListedAttempt>(
    `SELECT a.step_run AS "stepRun", a.attempt, a.state, a.epoch, json_build_object('id', w.id, 'name', w.name) AS worker,
            a.backend, a.object, a.image, a.memory_bytes AS "memoryBytes", a.run_end AS "runEnd", a.exit_code AS "exitCode", a.signal, a.fault, a.phases, a.waited, a.usage, a.warnings,
            a.started_at AS "startedAt", a.finished_at AS "finishedAt",
            p.done, p.total, p.message, p.at AS "saidAt"
     FROM attempts a JOIN workers w ON w.id = a.worker_id LEFT JOIN attempt_progress p
       ON p.run_id = a.run_id AND p.step_run = a.step_run AND p.attempt = a.attempt AND p.epoch = a.epoch
     WHERE a.run_id = $1 AND a.step_run = ANY ($2) ORDER BY a.attempt`,
    [run, stepRuns],
  );
  return rows.map(({ done, total, message, saidAt, waited, ...row }) => ({
    ...row,
    timeline: timelineOf({ ...row, waited }),
    progress: saidAt === null ? null : { done, total, message, at: saidAt.toISOString() },
    startedAt: row.startedAt.toISOString(),
    finishedAt: row.finishedAt?.toISOString() ?? null,
  }));
}

interface ListedAttempt extends Omit<AttemptOfStepRun, "startedAt" | "finishedAt" | "progress" | "timeline"> {
  readonly waited: AttemptWait | null;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
  /** What it said last; null in all four where it said nothing. */
  readonly done: number | null;
  readonly total: number | null;
  readonly message: string | null;
  readonly saidAt: Date | null;
}
