import type { PriorStepRun } from "../../protocol/agent-api.ts";
import type { Content } from "../../protocol/artifacts.ts";
import type { StepState } from "../../protocol/states.ts";
import type { Queryable } from "./database.ts";

/** What a run achieved under earlier leases: every step run that is not as it was made, with its committed outputs. */
export async function priorStepRuns(db: Queryable, run: string): Promise<PriorStepRun[]> {
  const steps = await db.query<{ stepRun: string; state: StepState; attempts: number; items: number | null }>(
    `SELECT key AS "stepRun", state, attempts, items FROM step_runs
     WHERE run_id = $1 AND (state <> 'pending' OR attempts > 0 OR items IS NOT NULL)
     ORDER BY position, COALESCE(item, -1), key`,
    [run],
  );
  const outputs = await db.query<{ stepRun: string; name: string; content: Content }>(
    `SELECT step_run AS "stepRun", name, json_build_object('kind', kind, 'digest', digest, 'size', size,
              'fileName', file_name, 'contentType', content_type, 'fileCount', file_count) AS content
     FROM artifact_versions WHERE run_id = $1`,
    [run],
  );
  const byStepRun = Map.groupBy(outputs.rows, ({ stepRun }) => stepRun);
  return steps.rows.map((step) => ({
    ...step,
    outputs: Object.fromEntries((byStepRun.get(step.stepRun) ?? []).map(({ name, content }) => [name, content])),
  }));
}
