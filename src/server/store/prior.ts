import type { PriorStepRun } from "../../protocol/agent-api.ts";
import type { Content } from "../../protocol/artifacts.ts";
import type { Queryable } from "./database.ts";

/**
 * What a run achieved under earlier leases, and what it took over from the run that it restarts: every step run that is
 * not as it was made, with its committed outputs.
 */
export async function priorStepRuns(db: Queryable, run: string): Promise<PriorStepRun[]> {
  const steps = await db.query<Omit<PriorStepRun, "outputs">>(
    `SELECT key AS "stepRun", s.state, attempts, items, COALESCE(s.fault->>'code' = 'condition', false) AS "byCondition",
            json_build_object('own', COALESCE(own, 0),
              'oom', COALESCE(oom, 0), 'infrastructure', COALESCE(infrastructure, 0)) AS faults
     FROM step_runs s LEFT JOIN (
       SELECT step_run, count(*) FILTER (WHERE NOT by_platform) AS own, count(*) FILTER (WHERE by_platform) AS infrastructure,
         count(*) FILTER (WHERE fault->>'class' = 'oom') AS oom
       FROM attempts, LATERAL (SELECT state = 'lost' OR fault->>'class' = 'infrastructure' AS by_platform) AS blame
       WHERE run_id = $1 AND state IN ('failed', 'lost') GROUP BY step_run) f ON step_run = key
     WHERE run_id = $1 AND (s.state <> 'pending' OR attempts > 0 OR items IS NOT NULL)
     ORDER BY position, COALESCE(item, -1), key`,
    [run],
  );
  const outputs = await db.query<{ stepRun: string; name: string; content: Content }>(
    `SELECT s.key AS "stepRun", v.name, json_build_object('kind', kind, 'digest', digest, 'size', size,
              'fileName', file_name, 'contentType', content_type, 'fileCount', file_count) AS content
     FROM step_runs s JOIN artifact_versions v ON v.run_id = COALESCE(s.taken_from_run, s.run_id) AND v.step_run = s.key
     WHERE s.run_id = $1`,
    [run],
  );
  const byStepRun = Map.groupBy(outputs.rows, ({ stepRun }) => stepRun);
  return steps.rows.map((step) => ({
    ...step,
    outputs: Object.fromEntries((byStepRun.get(step.stepRun) ?? []).map(({ name, content }) => [name, content])),
  }));
}
