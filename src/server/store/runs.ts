import type { Fault } from "../../protocol/faults.ts";
import type { Concurrency, Params, SourceRef } from "../../protocol/plan.ts";
import type { Needs, Run } from "../../protocol/resources.ts";
import { RUN_TRANSITIONS, type RunState, statesBefore } from "../../protocol/states.ts";
import type { VariableValues } from "../../protocol/variables.ts";
import type { Queryable } from "./database.ts";
import { jsonParameter } from "./json-parameter.ts";

export interface NewRun {
  readonly id: string;
  readonly project: string;
  readonly pipelineId: string;
  readonly pipelineVersion: number;
  readonly number: number;
  readonly params: Params;
  /** Of the project, as its steps are given them. */
  readonly variables: VariableValues;
  readonly source: SourceRef | null;
  readonly pool: string;
  readonly labels: readonly string[];
  readonly backend: string | null;
  readonly priority: number;
  readonly needs: Needs;
  /** With one, the run is held back until it is given a place. */
  readonly concurrency: Pick<Concurrency, "group" | "limit"> | null;
  readonly timeoutMs: number | null;
  readonly queueTimeoutMs: number | null;
  readonly noCache: boolean;
  readonly requestKey: string | null;
  readonly by: string;
  /** Id of the run that this one goes on from. */
  readonly restartOf: string | null;
}

export async function insertRun(client: Queryable, run: NewRun): Promise<void> {
  await client.query(
    `INSERT INTO runs (id, project_id, pipeline_id, pipeline_version, number, params, source_digest, source_size, pool,
       labels, backend, request_key, created_by, restart_of, timeout_ms, queue_timeout_ms,
       no_cache, priority, needed_cpus, needed_memory_bytes, needed_gpus, needed_disk_bytes, concurrency_group,
       concurrency_limit, held_back, variables)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
       $24, $25, $26)`,
    [
      run.id,
      run.project,
      run.pipelineId,
      run.pipelineVersion,
      run.number,
      JSON.stringify(run.params),
      run.source?.digest ?? null,
      run.source?.size ?? null,
      run.pool,
      run.labels,
      run.backend,
      run.requestKey,
      run.by,
      run.restartOf,
      run.timeoutMs,
      run.queueTimeoutMs,
      run.noCache,
      run.priority,
      run.needs.cpus,
      run.needs.memoryBytes,
      run.needs.gpus,
      run.needs.diskBytes,
      run.concurrency?.group ?? null,
      run.concurrency?.limit ?? null,
      run.concurrency !== null,
      JSON.stringify(run.variables),
    ],
  );
}

export async function findRunByRequestKey(db: Queryable, project: string, requestKey: string): Promise<string | null> {
  const { rows } = await db.query<{ id: string }>("SELECT id FROM runs WHERE project_id = $1 AND request_key = $2", [
    project,
    requestKey,
  ]);
  return rows[0]?.id ?? null;
}

/** The id behind what people call a run: its id, `wine#12`, or `latest`. Null when there is none. */
export async function resolveRun(db: Queryable, project: string, reference: string): Promise<string | null> {
  const numbered = /^([^#]+)#(\d{1,9})$/.exec(reference);
  const { rows } =
    numbered !== null
      ? await db.query<{ id: string }>(
          `SELECT r.id FROM runs r JOIN pipelines p ON p.id = r.pipeline_id
           WHERE p.project_id = $1 AND p.name = $2 AND r.number = $3`,
          [project, numbered[1], Number(numbered[2])],
        )
      : reference === "latest"
        ? await db.query<{ id: string }>("SELECT id FROM runs WHERE project_id = $1 ORDER BY id DESC LIMIT 1", [
            project,
          ])
        : await db.query<{ id: string }>("SELECT id FROM runs WHERE project_id = $1 AND id = $2", [project, reference]);
  return rows[0]?.id ?? null;
}

/** What is shown of a run `r` of pipeline `p`; `toRun` reads such a row. */
export const RUN_COLUMNS = `r.id, p.name AS pipeline, r.pipeline_version AS "pipelineVersion", r.number, r.state, r.params,
         r.source_digest AS "sourceDigest", r.source_size AS "sourceSize", r.pool, r.labels, r.backend, r.priority,
         json_build_object('cpus', r.needed_cpus, 'memoryBytes', r.needed_memory_bytes, 'gpus', r.needed_gpus,
           'diskBytes', r.needed_disk_bytes) AS needs, r.concurrency_group AS "group",
         r.concurrency_limit AS "groupLimit", r.held_back AND r.state = 'queued' AS "heldBack", r.fault,
         r.cancel_requested_at AS "cancelAt", r.cancel_requested_by AS "cancelBy", r.cancel_reason AS "cancelReason",
         w.id AS "workerId", w.name AS "workerName",
         COALESCE(r.state IN ('running', 'cancelling') AND r.lease_expires_at < now(), false) AS unreachable, r.epoch,
         r.created_by AS "createdBy", r.started_by AS "startedBy", r.created_at AS "createdAt", r.started_at AS "startedAt",
         r.finished_at AS "finishedAt", o.id AS "originalId", o.number AS "originalNumber"`;

/** The rest of what they are read from. */
export const RUN_JOINS = `JOIN pipelines p ON p.id = r.pipeline_id LEFT JOIN workers w ON w.id = r.worker_id
    LEFT JOIN runs o ON o.id = r.restart_of`;

export async function findRun(db: Queryable, project: string, id: string): Promise<Run | null> {
  const { rows } = await db.query(
    `SELECT ${RUN_COLUMNS} FROM runs r ${RUN_JOINS} WHERE r.project_id = $1 AND r.id = $2`,
    [project, id],
  );
  return rows[0] === undefined ? null : toRun(rows[0]);
}

/** Null when the project has no such run. */
export async function runState(db: Queryable, project: string, id: string): Promise<RunState | null> {
  const { rows } = await db.query<{ state: RunState }>({
    name: "run-state",
    text: "SELECT state FROM runs WHERE project_id = $1 AND id = $2",
    values: [project, id],
  });
  return rows[0]?.state ?? null;
}

// biome-ignore lint/suspicious/noExplicitAny: a row of RUN_COLUMNS, column by column.
export function toRun(row: any): Run {
  return {
    id: row.id,
    pipeline: row.pipeline,
    pipelineVersion: row.pipelineVersion,
    number: row.number,
    state: row.state,
    params: row.params,
    source: row.sourceDigest === null ? null : { digest: row.sourceDigest, size: row.sourceSize },
    pool: row.pool,
    labels: row.labels,
    backend: row.backend,
    priority: row.priority,
    needs: row.needs,
    concurrency: row.group === null ? null : { group: row.group, limit: row.groupLimit, heldBack: row.heldBack },
    fault: row.fault,
    cancel:
      row.cancelAt === null ? null : { at: row.cancelAt.toISOString(), by: row.cancelBy, reason: row.cancelReason },
    worker: row.workerId === null ? null : { id: row.workerId, name: row.workerName, unreachable: row.unreachable },
    epoch: row.epoch,
    restartOf: row.originalId === null ? null : { id: row.originalId, number: row.originalNumber },
    createdBy: row.createdBy,
    startedBy: row.startedBy ?? { kind: "person", name: row.createdBy },
    createdAt: row.createdAt.toISOString(),
    startedAt: row.startedAt?.toISOString() ?? null,
    finishedAt: row.finishedAt?.toISOString() ?? null,
  };
}

/** What a batch of an agent's events changes of its run. */
export interface RunProgress {
  readonly agentSeq: number;
  readonly streamSeq: number;
  readonly end: { readonly state: RunState; readonly fault: Fault | null } | null;
}

/** Advances a run whose row the caller has locked. An ended run keeps its worker, whose last log bytes may follow. */
export async function advanceRun(
  client: Queryable,
  run: string,
  { agentSeq, streamSeq, end }: RunProgress,
): Promise<void> {
  if (end === null) {
    await client.query({
      name: "advance-run",
      text: "UPDATE runs SET agent_seq = $2, stream_seq = $3 WHERE id = $1",
      values: [run, agentSeq, streamSeq],
    });
    return;
  }
  await client.query(
    `UPDATE runs SET agent_seq = $2, stream_seq = $3, state = $4, fault = $5, finished_at = now(), lease_expires_at = NULL
     WHERE id = $1 AND state = ANY ($6)`,
    [
      ...[run, agentSeq, streamSeq, end.state, end.fault === null ? null : jsonParameter(end.fault)],
      statesBefore(RUN_TRANSITIONS, end.state),
    ],
  );
}
