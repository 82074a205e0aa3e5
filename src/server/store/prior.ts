import type { PriorStepRun } from "../../protocol/agent-api.ts";
import type { Content } from "../../protocol/artifacts.ts";
import type { StepState } from "../../protocol/states.ts";
import type { Queryable } from "./database.ts";

/**
 * What a run achieved under earlier leases, and what it took over from the run that it restarts: every step run that is
 * not as it was made, with its committed outputs.
 */
export async function priorStepRuns(db: Queryable, run: string): Promise<PriorStepRun[]> {
  const steps = await db.query<{ stepRun: string; state: StepState; attempts: number; items: number | null }>(
    `SELECT key AS "stepRun", state, attempts, items FROM step_runs
     WHERE run_id = $1 AND (state <> 'pending' OR attempts > 0 OR items IS NOT NULL)
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
