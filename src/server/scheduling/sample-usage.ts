import { HISTORY_DAYS_MAX } from "../../protocol/usage.ts";
import type { Database } from "../store/database.ts";
import {
  insertSamples,
  isSampleDue,
  noteSampled,
  projectIds,
  type Sample,
  thinSamples,
  usageOfPipelines,
  usageOfTiers,
} from "../store/usage.ts";

/** A day has 24 points for a week, and one after that. */
const INTERVAL_MS = 60 * 60_000;

/** Writes down, once an hour, how much each project has in the store. */
export async function sampleUsage({ pool }: Database, { intervalMs = INTERVAL_MS } = {}): Promise<void> {
  if (!(await isSampleDue(pool, intervalMs))) return;
  for (const project of await projectIds(pool)) {
    const tiers = await usageOfTiers(pool, project);
    const pipelines = await usageOfPipelines(pool, project);
    const samples: Sample[] = [
      ...tiers.map(({ tier, bytes }) => ({ kind: "tier" as const, name: tier, bytes, referencedBytes: bytes })),
      ...pipelines.map(({ pipeline, bytes, referencedBytes }) => ({
        ...{ kind: "pipeline" as const, name: pipeline, bytes, referencedBytes },
      })),
    ];
    await insertSamples(pool, project, samples);
  }
  await thinSamples(pool, HISTORY_DAYS_MAX);
  await noteSampled(pool);
}
