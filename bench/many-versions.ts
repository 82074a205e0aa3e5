import type { BenchServer } from "./bench-server.ts";

export interface ManyVersions {
  /** Each run makes one version of each artifact. */
  readonly runs: number;
  readonly artifacts: number;
  /** How long ago they were made. */
  readonly ageDays: number;
  /** Whether each version has a blob of its own, of 1 KB; else all have the same. */
  readonly ownBlobs: boolean;
}

/** A pipeline called `many` with this many versions, made of the rows that runs of it would have left. */
export async function makeVersions(server: BenchServer, many: ManyVersions): Promise<void> {
  const { runs, artifacts, ageDays, ownBlobs } = many;
  // Longer than a server waits for a statement.
  await server.database.transaction(async (client) => {
    const make = (text: string, ...values: unknown[]) => client.query(text, [server.project, ...values]);
    await client.query("SET LOCAL statement_timeout = 0");
    // Millions of foreign keys are not looked up: the rows are right by the way they are made.
    await client.query("SET LOCAL session_replication_role = replica");
    await make(
      "INSERT INTO pipelines (id, project_id, name, latest_version, last_run_number) VALUES ('many', $1, 'many', 1, $2)",
      runs,
    );
    await make(
      `INSERT INTO pipeline_versions (pipeline_id, version, project_id, digest, source, plan, created_by)
       VALUES ('many', 1, $1, 'many', '', '{}', 'bench')`,
    );
    await make(
      `INSERT INTO workers (id, project_id, name, type, pool, labels, public_key, agent_version, capabilities)
       VALUES ('wrk_00000000000000000000000000', $1, 'many', 'custom', 'none', '{}', 'many', 'bench', '{}')`,
    );
    await make(
      `INSERT INTO runs (id, project_id, pipeline_id, pipeline_version, number, params, pool, labels, state, created_by, finished_at)
       SELECT 'run_' || lpad(n::text, 26, '0'), $1, 'many', 1, n, '{}', 'none', '{}', 'succeeded', 'bench', now() - $3 * interval '1 day'
       FROM generate_series(1, $2::int) AS n`,
      runs,
      ageDays,
    );
    await make(
      `INSERT INTO step_runs (run_id, key, project_id, step, position, state, attempts)
       SELECT 'run_' || lpad(n::text, 26, '0'), 's' || a, $1, 's' || a, a, 'succeeded', 1
       FROM generate_series(1, $2::int) AS n, generate_series(1, $3::int) AS a`,
      runs,
      artifacts,
    );
    await make(
      `INSERT INTO artifacts (project_id, pipeline_id, step, name, latest_version)
       SELECT $1, 'many', 's' || a, 'out', $2 FROM generate_series(1, $3::int) AS a`,
      runs,
      artifacts,
    );
    await make(
      `INSERT INTO artifact_runs (artifact_id, run_id, project_id, version)
       SELECT a.id, 'run_' || lpad(n::text, 26, '0'), $1, n FROM artifacts a, generate_series(1, $2::int) AS n WHERE a.pipeline_id = 'many'`,
      runs,
    );
    const digest = ownBlobs ? "encode(sha256((a || '/' || n)::bytea), 'hex')" : "encode(sha256('many'), 'hex')";
    await make(
      `INSERT INTO blobs (project_id, digest, size, tier, unsure_since)
       SELECT DISTINCT $1, ${digest}, 1024, 'database', NULL::timestamptz
       FROM generate_series(1, $2::int) AS n, generate_series(1, $3::int) AS a`,
      runs,
      artifacts,
    );
    await make(
      "INSERT INTO blob_bytes SELECT project_id, digest, convert_to(repeat('x', 1024), 'UTF8') FROM blobs WHERE project_id = $1",
    );
    await make(
      `INSERT INTO artifact_versions (project_id, artifact_id, version, item, run_id, step_run, attempt, name, worker_id, kind,
         digest, size, file_count, file_name, content_type, created_at, expires_at)
       SELECT $1, artifacts.id, n, '', 'run_' || lpad(n::text, 26, '0'), 's' || a, 1, 'out', 'wrk_00000000000000000000000000', 'file', ${digest}, 1024, 1, 'out',
              'text/plain', now() - $4 * interval '1 day', now() - ($4 - 14) * interval '1 day'
       FROM generate_series(1, $3::int) AS a JOIN artifacts ON artifacts.pipeline_id = 'many' AND artifacts.step = 's' || a,
         generate_series(1, $2::int) AS n`,
      runs,
      artifacts,
      ageDays,
    );
  });
  // What the database does after so many writes at once is no part of what is measured next.
  await server.database.pool.query("VACUUM ANALYZE");
  await server.database.pool.query("CHECKPOINT");
}
