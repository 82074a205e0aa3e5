import type { Content } from "../../src/protocol/artifacts.ts";
import type { Queryable } from "../../src/server/store/database.ts";
import { unpackLog } from "../../src/server/store/log-packing.ts";
import { logKey } from "./memory-logs.ts";
import { metricKey, type RunView, type VersionView } from "./server-api.ts";

/** What the tables hold of a run, read by queries of its own. */
export async function viewOf(db: Queryable, run: string): Promise<RunView> {
  const found = await db.query<Pick<RunView, "id" | "state" | "epoch" | "fault">>(
    "SELECT id, state, epoch, fault FROM runs WHERE id = $1",
    [run],
  );
  const events = await db.query<RunView["events"][number]>(
    "SELECT seq, body FROM run_events WHERE run_id = $1 ORDER BY seq",
    [run],
  );
  const stepRuns = await db.query<RunView["stepRuns"][number]>(
    `SELECT key, state, parent, taken_from_run AS "takenFrom" FROM step_runs WHERE run_id = $1
     ORDER BY position, COALESCE(item, -1), key`,
    [run],
  );
  const attempts = await db.query<RunView["attempts"][number]>(
    `SELECT step_run AS "stepRun", attempt, epoch, worker_id AS worker, state FROM attempts WHERE run_id = $1
     ORDER BY step_run, attempt`,
    [run],
  );
  const versions = await db.query<Omit<VersionView, "content"> & Content>(
    `SELECT v.step_run AS "stepRun", v.name, v.attempt, v.kind, v.digest, v.size, v.file_name AS "fileName",
            v.content_type AS "contentType", v.file_count AS "fileCount", b.data AS bytes
     FROM artifact_versions v JOIN blob_bytes b ON b.project_id = v.project_id AND b.digest = v.digest
     WHERE v.run_id = $1 ORDER BY v.id`,
    [run],
  );
  return {
    ...found.rows[0]!,
    ...{ events: events.rows, stepRuns: stepRuns.rows, attempts: attempts.rows },
    versions: versions.rows.map(({ stepRun, name, attempt, bytes, ...content }) => ({
      ...{ stepRun, name, attempt, bytes },
      content,
    })),
    logs: await logsOf(db, run),
    metrics: await metricsOf(db, run),
  };
}

async function metricsOf(db: Queryable, run: string): Promise<Map<string, number[]>> {
  const { rows } = await db.query<{ epoch: number; stepRun: string; attempt: number; values: number[] }>(
    `SELECT epoch, step_run AS "stepRun", attempt, array_agg(value ORDER BY n) AS values FROM metric_points
     WHERE run_id = $1 GROUP BY epoch, step_run, attempt`,
    [run],
  );
  return new Map(rows.map(({ epoch, stepRun, attempt, values }) => [metricKey(epoch, stepRun, attempt), values]));
}

async function logsOf(db: Queryable, run: string): Promise<Map<string, string>> {
  const { rows } = await db.query<{
    epoch: number;
    stepRun: string;
    attempt: number;
    stream: string;
    size: number;
    data: Buffer;
  }>(
    `SELECT epoch, step_run AS "stepRun", attempt, stream, (end_offset - start_offset)::integer AS size, data FROM log_chunks WHERE run_id = $1 ORDER BY arrival`,
    [run],
  );
  const logs = new Map<string, string>();
  for (const { epoch, stepRun, attempt, stream, size, data } of rows) {
    const key = logKey(epoch, stepRun, attempt, stream);
    logs.set(key, (logs.get(key) ?? "") + Buffer.from(await unpackLog(data, size)).toString());
  }
  return logs;
}
