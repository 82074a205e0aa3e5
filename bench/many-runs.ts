import { newId } from "../src/protocol/ids.ts";
import type { BenchServer } from "./bench-server.ts";

export interface MadeRuns {
  /** Oldest first. */
  readonly ids: readonly string[];
  readonly fromMs: number;
  readonly toMs: number;
}

const PIPELINES = 50;
const WORKERS = 20;
const DAYS = 30;
/** The newest ones wait. */
const QUEUED = 200;

/** So many runs of fifty pipelines, as they would be after a month. */
export async function makeRuns(server: BenchServer, count: number): Promise<MadeRuns> {
  const toMs = Date.now();
  const fromMs = toMs - DAYS * 86_400_000;
  const ids = Array.from({ length: count }, (_, n) => newId("run", Math.floor(fromMs + ((toMs - fromMs) * n) / count)));
  await server.database.transaction(async (client) => {
    const make = (text: string, ...values: unknown[]) => client.query(text, [server.project, ...values]);
    await client.query("SET LOCAL statement_timeout = 0");
    await client.query("SET LOCAL session_replication_role = replica");
    await make(
      `INSERT INTO pipelines (id, project_id, name, latest_version, last_run_number)
       SELECT 'bulk' || n, $1, 'bulk' || n, 1, $2::int FROM generate_series(0, ${PIPELINES - 1}) AS n`,
      count,
    );
    await make(
      `INSERT INTO pipeline_versions (pipeline_id, version, project_id, digest, source, plan, created_by)
       SELECT 'bulk' || n, 1, $1, 'bulk', '', '{}', 'bench' FROM generate_series(0, ${PIPELINES - 1}) AS n`,
    );
    await make(
      `INSERT INTO workers (id, project_id, name, type, pool, labels, public_key, agent_version, capabilities)
       SELECT 'wrk_' || lpad(n::text, 26, '9'), $1, 'bulk' || n, 'custom', 'none', '{}', 'bulk' || n, 'bench', $2
       FROM generate_series(0, ${WORKERS - 1}) AS n`,
      JSON.stringify({ cpus: 4, memoryBytes: 1, diskFreeBytes: 1, slots: 1, gpus: [], backends: {} }),
    );
    await make(
      `INSERT INTO runs (id, project_id, pipeline_id, pipeline_version, number, params, pool, labels, state, created_by,
         created_at, started_at, finished_at, worker_id, started_by)
       SELECT id, $1, 'bulk' || n % ${PIPELINES}, 1, n, json_build_object('region', 'region-' || n % 7, 'seed', n), 'default',
         CASE WHEN n % 500 = 0 THEN '{gpu}'::text[] ELSE '{}' END, state.name, 'bench', at.created,
         CASE WHEN state.name <> 'queued' THEN at.created + interval '3 s' END,
         CASE WHEN state.name <> 'queued' THEN at.created + interval '1 min' + n % 600 * interval '1 s' END,
         CASE WHEN state.name <> 'queued' THEN 'wrk_' || lpad((n % ${WORKERS})::text, 26, '9') END,
         CASE WHEN n % 3 = 0 THEN json_build_object('kind', 'schedule', 'name', 'bulk/nightly', 'dueAt', NULL, 'by', NULL) END
       FROM unnest($2::text[]) WITH ORDINALITY AS made (id, n)
         CROSS JOIN LATERAL (SELECT to_timestamp($3::float8 + (n - 1) * $4::float8) AS created) at
         CROSS JOIN LATERAL (SELECT CASE WHEN n > $5::int - ${QUEUED} THEN 'queued' WHEN n % 100 = 0 THEN 'failed'
           WHEN n % 1000 < 3 THEN 'cancelled' ELSE 'succeeded' END AS name) state`,
      ...[ids, fromMs / 1000, (toMs - fromMs) / 1000 / count, count],
    );
  });
  await server.database.pool.query("VACUUM ANALYZE");
  await server.database.pool.query("CHECKPOINT");
  return { ids, fromMs, toMs };
}
