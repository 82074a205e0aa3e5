import assert from "node:assert/strict";
import { test } from "node:test";
import { produce, producer } from "../../../test/setup/retention-fixture.ts";
import { runServer } from "../../../test/setup/run-fixture.ts";
import { testWorker } from "../../../test/setup/server.ts";
import { type ArtifactFilter, listArtifactVersions } from "./artifacts.ts";
import type { Queryable } from "./database.ts";
import { judgeVersions } from "./expiry.ts";

const VERSIONS = 20_000;
const ITEMS = 2_000;
/** Rows that a question for a page may read at a node of its plan. */
const ROWS_MAX = 1_000;

interface Plan {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Rows Removed by Join Filter"?: number;
  readonly Plans?: readonly Plan[];
}

/** The most rows that a node of the plan read or threw away. */
function most(plan: Plan): number {
  const removed = (plan["Rows Removed by Filter"] ?? 0) + (plan["Rows Removed by Join Filter"] ?? 0);
  const own = (plan["Actual Rows"] + removed) * plan["Actual Loops"];
  return Math.max(own, ...(plan.Plans ?? []).map(most));
}

test("a list by name, of another project, or of what is gone reads no other versions; nor does a look at what a run needs", async (t) => {
  const server = await runServer(t);
  const { pool } = server.services.database;
  const worker = await testWorker(server);
  const few = await produce(server, worker, producer("few"), "few");
  const many = await produce(server, worker, producer("many"), "many");
  await pool.query("INSERT INTO projects (id, name) VALUES ('prj_other', 'other')");
  const copy = (table: string, from: string, changed: string) =>
    `INSERT INTO ${table} SELECT (jsonb_populate_record(r, ${changed})).* FROM ${table} r, generate_series(2, $2::int) AS n
     WHERE ${from}`;
  await pool.query(
    `INSERT INTO artifact_versions (project_id, artifact_id, version, item, run_id, step_run, attempt, name, worker_id,
       kind, digest, size, file_count, file_name, content_type)
     SELECT project_id, artifact_id, n, '', run_id, 'make' || n, 1, name, worker_id, kind, digest, size, 1, name, 'x'
     FROM artifact_versions, generate_series(2, $2::int) AS n WHERE run_id = $1`,
    [many, VERSIONS],
  );
  // A batch that other runs have taken over.
  for (const taker of ["run_1", "run_2"]) {
    await pool.query(
      copy("runs", "id = $1 AND n = 2", `jsonb_build_object('id', '${taker}', 'number', ${taker.slice(4)} + 9)`),
      [few, 2],
    );
    await pool.query(
      `INSERT INTO step_runs (run_id, key, project_id, step, position, item, state, taken_from_run)
       SELECT $1, 'make' || n, $2, 'make', 0, n, 'succeeded', $3 FROM generate_series(2, $4::int) AS n`,
      [taker, server.project, many, ITEMS],
    );
  }
  await pool.query("VACUUM ANALYZE");
  let plan: Plan | undefined;
  const explaining = {
    query: async (text: string, values: unknown[]) => {
      const { rows } = await pool.query(`EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, values);
      plan = rows[0]["QUERY PLAN"][0].Plan;
      return { rows: [] };
    },
  } as unknown as Queryable;
  const filter = { pipeline: undefined, step: undefined, name: undefined, run: undefined, all: false };
  const list = async (project: string, more: Partial<ArtifactFilter>) => {
    await listArtifactVersions(explaining, project, { ...filter, tags: [], before: null, limit: 50, ...more });
    assert.ok(most(plan!) < ROWS_MAX, `${JSON.stringify(more)}: ${most(plan!)} rows`);
  };
  await list(server.project, { pipeline: "few" });
  await list(server.project, { pipeline: "few", step: "make", name: "out" });
  await list(server.project, { name: "nothing" });
  await list(server.project, { pipeline: "many" });
  await list("prj_other", {});
  const { rows } = await pool.query<{ id: number }>("SELECT id FROM artifact_versions ORDER BY id LIMIT 20 OFFSET 10");
  await judgeVersions(
    explaining,
    rows.map(({ id }) => id),
  );
  assert.ok(most(plan!) < ROWS_MAX, `needed: ${most(plan!)} rows`);
  await pool.query("UPDATE artifact_versions SET expired_at = now(), expired_by = 'x' WHERE run_id = $1", [many]);
  await pool.query("VACUUM ANALYZE artifact_versions");
  await list(server.project, {});
  await list(server.project, { pipeline: "many" });
});
