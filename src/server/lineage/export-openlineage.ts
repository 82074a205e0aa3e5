import type { OpenLineageEvent } from "../../protocol/openlineage.ts";
import type { Services } from "../services.ts";
import { listAttempts } from "../store/attempts.ts";
import { findVersion } from "../store/pipelines.ts";
import { findProject } from "../store/projects.ts";
import { datasetsMade, datasetsRead } from "../store/run-datasets.ts";
import { findRun } from "../store/runs.ts";
import { listStepRuns, type StepRunCursor } from "../store/step-runs.ts";
import { attemptEvents, runEnded, runStarted } from "./openlineage-events.ts";
import type { Producer } from "./openlineage-facets.ts";

/** Step runs that are read at once: what is in memory of a batch of a million items. */
const STEP_RUNS_PER_PAGE = 200;

export type ExportServices = Pick<Services, "database" | "installation" | "version">;

/**
 * A run as events of OpenLineage: its start, those of every attempt in the order of the pipeline, and its end if it has
 * one. Step runs that took over what another run made have no attempts and say nothing: the events of that run do.
 */
export async function* exportOpenLineage(
  services: ExportServices,
  project: string,
  id: string,
): AsyncGenerator<OpenLineageEvent> {
  const { pool } = services.database;
  const run = (await findRun(pool, project, id))!;
  const { plan } = (await findVersion(pool, project, run.pipeline, run.pipelineVersion))!;
  const by = await producerOf(services, project);
  yield runStarted(by, run, plan);
  let after: StepRunCursor | null = null;
  for (;;) {
    const page: Awaited<ReturnType<typeof listStepRuns>> = await listStepRuns(pool, id, {
      ...{ step: undefined, state: undefined, after, limit: STEP_RUNS_PER_PAGE },
    });
    const keys = page.map(({ key }) => key);
    const [attempts, read, made] = await Promise.all([
      listAttempts(pool, id, keys),
      datasetsRead(pool, id, keys),
      datasetsMade(pool, id, keys),
    ]);
    const attemptsOf = Map.groupBy(attempts, ({ stepRun }) => stepRun);
    const readBy = Map.groupBy(read, ({ stepRun }) => stepRun);
    const madeBy = Map.groupBy(made, ({ stepRun }) => stepRun);
    for (const { key, step } of page) {
      const ofStepRun = attemptsOf.get(key) ?? [];
      for (const attempt of ofStepRun) {
        // Only the last attempt can have been committed.
        const isLast = attempt === ofStepRun.at(-1);
        const outputs = (madeBy.get(key) ?? []).filter((one) => one.attempt === attempt.attempt);
        const facts = { step, stepRun: key, attempt, reads: isLast ? (readBy.get(key) ?? []) : [], made: outputs };
        yield* attemptEvents(by, run, plan, facts);
      }
    }
    if (page.length < STEP_RUNS_PER_PAGE) break;
    const { position, item, key } = page.at(-1)!;
    after = [position, item ?? -1, key];
  }
  const end = runEnded(by, run, plan);
  if (end !== null) yield end;
}

async function producerOf({ database, installation, version }: ExportServices, project: string): Promise<Producer> {
  const { name } = (await findProject(database.pool, project))!;
  const namespace = `berth://${installation}/${name}`;
  return { namespace, producer: `urn:berth:server:${version}`, version };
}
