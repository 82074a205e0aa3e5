import type { StepPlan } from "../../protocol/plan.ts";
import type { StepState } from "../../protocol/states.ts";
import type { Queryable } from "./database.ts";

/** What a graph shows of the steps of a plan. */
export type PlannedStep = Pick<StepPlan, "name" | "needs" | "when" | "matrix" | "batch" | "phase" | "allowFailure"> & {
  readonly action: StepPlan["action"]["kind"];
};

/** In the order of the pipeline; without the scripts and environments that make a plan large. */
export async function plannedSteps(db: Queryable, run: string): Promise<PlannedStep[]> {
  const { rows } = await db.query<PlannedStep>(
    `SELECT step ->> 'name' AS name, step -> 'needs' AS needs, step -> 'when' AS when, step -> 'matrix' AS matrix,
            step -> 'batch' AS batch, COALESCE(step ->> 'phase', 'main') AS phase, step -> 'action' ->> 'kind' AS action,
            COALESCE(step ->> 'allowFailure' = 'true', false) AS "allowFailure"
     FROM runs r JOIN pipeline_versions v ON v.pipeline_id = r.pipeline_id AND v.version = r.pipeline_version
       CROSS JOIN json_array_elements(v.plan -> 'steps') WITH ORDINALITY AS plan (step, place)
     WHERE r.id = $1 ORDER BY place`,
    [run],
  );
  return rows;
}

/** Step runs of one step in one state. */
export interface StepRunGroup {
  readonly step: string;
  readonly state: StepState;
  /** Of the step itself, of a combination, or of a batch as a whole; else of items. */
  readonly isWhole: boolean;
  /** Whether an attempt makes their state, and not that of their items. */
  readonly isLeaf: boolean;
  readonly count: number;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
}

/** One pass over the step runs of a run. */
export async function groupStepRuns(db: Queryable, run: string): Promise<StepRunGroup[]> {
  const { rows } = await db.query<StepRunGroup>(
    `SELECT step, state, item IS NULL AS "isWhole", items IS NULL AS "isLeaf", count(*)::integer AS count,
            min(started_at) AS "startedAt", max(finished_at) AS "finishedAt"
     FROM step_runs WHERE run_id = $1 GROUP BY 1, 2, 3, 4`,
    [run],
  );
  return rows;
}
