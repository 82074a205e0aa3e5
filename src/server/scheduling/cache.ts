import { type CacheComponents, cacheComponents, cacheDifferences, IMAGE_COMPONENT } from "../../pipeline/cache-key.ts";
import { initialStepRuns, itemKey, type StepRunSpec } from "../../pipeline/step-runs.ts";
import type { Content } from "../../protocol/artifacts.ts";
import type { CacheDifference, CacheExplanation, CacheHit, CachePlanStep } from "../../protocol/cache.ts";
import type { Params, Plan, SourceRef, StepPlan } from "../../protocol/plan.ts";
import type { BlobStore } from "../store/blobs.ts";
import { blobsOf, type CacheScope, findCached, keysOfRun, knownKeys, versionsOf } from "../store/cache.ts";
import type { Database, Queryable } from "../store/database.ts";

/** Earlier results that a step run is compared with. */
const COMPARED_MAX = 20;

/** What an earlier run made with this key, if all of its bytes are there. */
export async function lookUp(
  { database, blobs }: { readonly database: Database; readonly blobs: BlobStore },
  scope: CacheScope,
  key: string,
  ttlMs: number | null,
): Promise<CacheHit | null> {
  const hit = await findCached(database.pool, scope, key, ttlMs);
  if (hit === null) return null;
  const digests = await blobsOf(database.pool, hit.run, scope.stepRun);
  const missing = digests.length === 0 ? [] : await blobs.missing(scope.project, digests);
  return missing.length === 0 ? hit : null;
}

/** Says of the step runs of a run what their results depended on, and what had changed since the result before. */
export async function explainCache(
  db: Queryable,
  run: { readonly id: string; readonly project: string; readonly pipelineId: string },
  step: string | null,
): Promise<CacheExplanation[]> {
  const explanations: CacheExplanation[] = [];
  for (const { stepRun, components, takenFrom } of await keysOfRun(db, run.id, step)) {
    const scope = { project: run.project, pipelineId: run.pipelineId, stepRun };
    const known = await knownKeys(db, scope, { before: run.id, limit: COMPARED_MAX, ttlMs: null });
    // That the same was made before says more than what changed since something else was.
    const before = known.find((one) => cacheDifferences(one.components, components).length === 0) ?? known[0];
    explanations.push({
      ...{ stepRun, takenFrom, components },
      compared:
        before === undefined
          ? null
          : { run: before.number, differences: await described(db, run.pipelineId, before.components, components) },
    });
  }
  return explanations;
}

async function described(
  db: Queryable,
  pipelineId: string,
  before: CacheComponents,
  after: CacheComponents,
): Promise<CacheDifference[]> {
  const differences = cacheDifferences(before, after);
  const inputs = differences.filter(({ name }) => name.startsWith("inputs."));
  const digests = inputs.flatMap((input) => [input.before, input.after]).filter((digest) => digest !== null);
  const versions = digests.length === 0 ? new Map<string, number>() : await versionsOf(db, pipelineId, digests);
  return differences.map((difference) => ({
    ...difference,
    beforeVersion: versions.get(difference.before ?? "") ?? null,
    afterVersion: versions.get(difference.after ?? "") ?? null,
  }));
}

export interface PlannedRun {
  readonly project: string;
  /** Null for a pipeline that never ran. */
  readonly pipelineId: string | null;
  readonly plan: Plan;
  readonly params: Params;
  readonly source: SourceRef | null;
}

/**
 * What a run would take from the cache: an image is taken to be what it was, for only a worker knows. What depends on a
 * step that has to run, and a batch that has to be split first, stays open.
 */
export async function planCache(db: Queryable, run: PlannedRun): Promise<CachePlanStep[]> {
  const outputs = new Map<string, Readonly<Record<string, Content>>>();
  const specs = Map.groupBy(initialStepRuns(run.plan), ({ step }) => step);
  const planned: CachePlanStep[] = [];
  for (const step of inOrder(run.plan.steps)) {
    for (const spec of specs.get(step.name)!) {
      const inputs = inputsOf(step, specs, outputs);
      const { made, ...verdict } = await planStep(db, run, spec, { step, inputs });
      if (made !== null) outputs.set(spec.key, made);
      planned.push(verdict);
    }
  }
  const position = new Map([...specs.values()].flat().map(({ key, position: place }) => [key, place]));
  return planned.toSorted((left, right) => position.get(left.stepRun)! - position.get(right.stepRun)!);
}

/** What a step needs comes before it. */
function inOrder(steps: readonly StepPlan[]): StepPlan[] {
  const byName = new Map(steps.map((step) => [step.name, step]));
  const ordered = new Set<StepPlan>();
  // Depth first without recursion: a chain may be 5,000 long.
  const stack = steps.toReversed();
  while (stack.length > 0) {
    const step = stack.at(-1)!;
    const open = step.needs.map((need) => byName.get(need)!).filter((need) => !ordered.has(need));
    if (open.length === 0) ordered.add(stack.pop()!);
    else stack.push(...open);
  }
  return [...ordered];
}

type PlannedStep = CachePlanStep & { readonly made: Readonly<Record<string, Content>> | null };

async function planStep(
  db: Queryable,
  { project, pipelineId, plan, params, source }: PlannedRun,
  { key: stepRun, matrix }: StepRunSpec,
  { step, inputs }: { readonly step: StepPlan; readonly inputs: Readonly<Record<string, readonly string[]>> | string },
): Promise<PlannedStep> {
  const answer = (verdict: CachePlanStep["verdict"], why: string): PlannedStep => ({
    ...{ stepRun, verdict, why, run: null, differences: [], made: null },
  });
  if (step.cache === null) return answer("off", "the step has no cache: it always runs");
  if (step.batch !== null) return answer("open", "the items are known once the batch is split");
  if (typeof inputs === "string") return answer("open", `it reads from ${inputs}, which has to run first`);
  if (pipelineId === null) return answer("miss", "the pipeline never ran");
  const components = cacheComponents({ plan, step, matrix, params, source, image: null, inputs, share: null });
  const scope = { project, pipelineId, stepRun };
  const known = await knownKeys(db, scope, { before: null, limit: COMPARED_MAX, ttlMs: step.cache.ttlMs });
  const hit = known.find(
    (one) => one.usable && cacheDifferences(withoutImage(one.components), components).length === 0,
  );
  if (hit !== undefined) {
    return { ...answer("hit", `made by run #${hit.number}`), run: hit.number, made: hit.outputs };
  }
  const [newest] = known;
  if (newest === undefined) return answer("miss", "it never ran with a cache");
  const differences = await described(db, pipelineId, withoutImage(newest.components), components);
  const why = differences.length === 0 ? "its result is too old, or was given up" : `not as in run #${newest.number}`;
  return { ...answer("miss", why), run: newest.number, differences };
}

function withoutImage(components: CacheComponents): CacheComponents {
  return Object.fromEntries(Object.entries(components).filter(([name]) => name !== IMAGE_COMPONENT));
}

/** The digests that each input would be made of; the name of a step whose outputs are not known yet. */
function inputsOf(
  { inputs }: StepPlan,
  specs: ReadonlyMap<string, readonly StepRunSpec[]>,
  outputs: ReadonlyMap<string, Readonly<Record<string, Content>>>,
): Readonly<Record<string, readonly string[]>> | string {
  const digests: Record<string, readonly string[]> = {};
  for (const [name, { step, artifact, gather }] of Object.entries(inputs)) {
    const producers = specs.get(step)!;
    if (producers.some(({ key, isBatch }) => isBatch || !outputs.has(key))) return step;
    const made = producers.flatMap((producer) => {
      const content = outputs.get(producer.key)![artifact];
      return content === undefined ? [] : [{ key: itemKey(producer), digest: content.digest }];
    });
    if (gather !== "single") digests[name] = [gather, ...made.flatMap(({ key, digest }) => [key, digest])];
    else if (made.length > 0) digests[name] = [made[0]!.digest];
  }
  return digests;
}
