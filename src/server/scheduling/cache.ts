import {
  type CacheComponents,
  cacheComponents,
  cacheDifferences,
  IMAGE_COMPONENT,
  isWhole,
} from "../../pipeline/cache-key.ts";
import { initialStepRuns, itemKey, type StepRunSpec } from "../../pipeline/step-runs.ts";
import type { Content } from "../../protocol/artifacts.ts";
import type { CacheDifference, CacheExplanations, CachePlanStep, NotTakenReason } from "../../protocol/cache.ts";
import type { Params, Plan, SourceRef, StepPlan } from "../../protocol/plan.ts";
import { hasStepRun, type KnownKey, keysOfRun, knownKeys, versionsOf } from "../store/cache.ts";
import type { Queryable } from "../store/database.ts";
import { findVersion } from "../store/pipelines.ts";
import { originalRun } from "../store/restarts.ts";
import { notTakenReason } from "./not-taken-reason.ts";
import { unknownStep } from "./unknown-step.ts";

/** Earlier results that a step run is compared with. */
const COMPARED_MAX = 20;
/** Step runs in one question to the database: each answer brings up to COMPARED_MAX results with all they depended on. */
const STEP_RUNS_PER_QUESTION = 100;

/**
 * Says of the step runs of a run what their results depended on, and what had changed since the result before.
 *
 * @param step a step, or the key of one of its step runs; null for all of them
 */
export async function explainCache(
  db: Queryable,
  { id, project }: { readonly id: string; readonly project: string },
  step: string | null,
): Promise<CacheExplanations> {
  const run = { id, project, ...(await originalRun(db, project, id)) };
  const { plan } = (await findVersion(db, project, run.pipeline, run.pipelineVersion))!;
  const steps = new Map(plan.steps.map((one) => [one.name, one]));
  if (step !== null && !steps.has(step) && !(await hasStepRun(db, id, step))) {
    throw unknownStep(`${run.pipeline}#${run.number}`, step, [...steps.keys()]);
  }
  const explanations = [];
  for (const part of inParts(await keysOfRun(db, run.id, step))) {
    const wanted = part.map(({ stepRun }) => ({ stepRun, ttlMs: null }));
    const results = await knownKeys(db, run, wanted, { before: run.id, limit: COMPARED_MAX });
    for (const { stepRun, step: name, components, takenFrom, startedAt } of part) {
      const before = mostLike(results.get(stepRun)!, (one) => cacheDifferences(one.components, components));
      const differences = before === undefined ? [] : unversioned(before.components, components);
      const compared = before === undefined ? null : { run: before.number, differences };
      let reason: NotTakenReason | null = null;
      if (takenFrom === null && before !== undefined && differences.length === 0) {
        reason = run.noCache ? "off" : notTakenReason(steps.get(name)!, before, startedAt ?? Date.now());
      }
      explanations.push({ stepRun, takenFrom, components, compared, reason });
    }
  }
  const versioned = await withVersions(
    db,
    run.pipelineId,
    explanations.map(({ compared }) => compared?.differences ?? []),
  );
  const items = explanations.map(({ compared, ...explanation }, index) => ({
    ...explanation,
    compared: compared === null ? null : { ...compared, differences: versioned[index]! },
  }));
  return { items, cached: plan.steps.filter(({ cache }) => cache !== null).map(({ name }) => name) };
}

/**
 * What to compare with: that the same was made before says more than what changed since something else was, and a result
 * that is kept more than one that was given up.
 */
function mostLike(
  known: readonly KnownKey[],
  differences: (one: KnownKey) => readonly unknown[],
): KnownKey | undefined {
  const same = known.filter((one) => differences(one).length === 0);
  return same.find(({ isKept }) => isKept) ?? same[0] ?? known[0];
}

function* inParts<T>(all: readonly T[]): Generator<T[]> {
  for (let start = 0; start < all.length; start += STEP_RUNS_PER_QUESTION) {
    yield all.slice(start, start + STEP_RUNS_PER_QUESTION);
  }
}

function unversioned(before: CacheComponents, after: CacheComponents): CacheDifference[] {
  return cacheDifferences(before, after).map((one) => ({ ...one, beforeVersion: null, afterVersion: null }));
}

/** The same differences, those between inputs with the versions of their artifacts. */
async function withVersions(
  db: Queryable,
  pipelineId: string,
  all: readonly (readonly CacheDifference[])[],
): Promise<CacheDifference[][]> {
  const inputs = all.flat().filter(({ name }) => name.startsWith("inputs."));
  const digests = new Set(inputs.flatMap(({ before, after }) => [before, after]).filter((digest) => digest !== null));
  const versions = digests.size === 0 ? new Map<string, number>() : await versionsOf(db, pipelineId, [...digests]);
  return all.map((differences) =>
    differences.map((difference) => ({
      ...difference,
      beforeVersion: versions.get(difference.before ?? "") ?? null,
      afterVersion: versions.get(difference.after ?? "") ?? null,
    })),
  );
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
  const specs = Map.groupBy(initialStepRuns(run.plan), ({ step }) => step);
  const ordered = inOrder(run.plan.steps).flatMap((step) => specs.get(step.name)!.map((spec) => ({ step, spec })));
  const inputs = new PlannedInputs(specs);
  const planned: CachePlanStep[] = [];
  for (const part of inParts(ordered)) {
    const results = await resultsOf(db, run, part);
    for (const { step, spec } of part) {
      const known = results.get(spec.key) ?? [];
      const { made, ...verdict } = planStep(run, spec, { step, inputs: inputs.of(step), known });
      if (made !== null) inputs.add(spec.key, made);
      planned.push(verdict);
    }
  }
  const position = new Map([...specs.values()].flat().map(({ key, position: place }) => [key, place]));
  const sorted = planned.toSorted((left, right) => position.get(left.stepRun)! - position.get(right.stepRun)!);
  if (run.pipelineId === null) return sorted;
  const versioned = await withVersions(
    db,
    run.pipelineId,
    sorted.map(({ differences }) => differences),
  );
  return sorted.map((step, index) => ({ ...step, differences: versioned[index]! }));
}

/** What is known of those step runs that have a key before they run. */
async function resultsOf(
  db: Queryable,
  { project, pipelineId }: PlannedRun,
  part: readonly { readonly step: StepPlan; readonly spec: StepRunSpec }[],
): Promise<Map<string, KnownKey[]>> {
  if (pipelineId === null) return new Map();
  const wanted = part.flatMap(({ step: { cache, batch }, spec }) =>
    cache === null || batch !== null ? [] : [{ stepRun: spec.key, ttlMs: cache.ttlMs }],
  );
  return knownKeys(db, { project, pipelineId }, wanted, { before: null, limit: COMPARED_MAX });
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

function planStep(
  { pipelineId, plan, params, source }: PlannedRun,
  { key: stepRun, matrix }: StepRunSpec,
  { step, inputs, known }: { readonly step: StepPlan; readonly inputs: Inputs | string; readonly known: KnownKey[] },
): PlannedStep {
  const answer = (verdict: CachePlanStep["verdict"], why: string): PlannedStep => ({
    ...{ stepRun, verdict, why, run: null, differences: [], made: null },
  });
  if (step.cache === null) return answer("off", "the step has no cache: it always runs");
  if (step.batch !== null) return answer("open", "the items are known once the batch is split");
  if (typeof inputs === "string") return answer("open", `it reads from ${inputs}, which has to run first`);
  if (pipelineId === null) return answer("miss", "the pipeline never ran");
  const components = cacheComponents({ plan, step, matrix, params, source, image: null, inputs, share: null });
  const hit = known.find(
    (one) =>
      one.usable &&
      isWhole(step, one.outputs) &&
      cacheDifferences(withoutImage(one.components), components).length === 0,
  );
  if (hit !== undefined) {
    return { ...answer("hit", `made by run #${hit.number}`), run: hit.number, made: hit.outputs };
  }
  const before = mostLike(known, (one) => cacheDifferences(withoutImage(one.components), components));
  if (before === undefined) return answer("miss", "it never ran with a cache");
  const differences = unversioned(withoutImage(before.components), components);
  const why = differences.length === 0 ? whyNotTaken(before) : `not as in run #${before.number}`;
  return { ...answer("miss", why), run: before.number, differences };
}

/** Of what is the same, and would not be taken now. */
function whyNotTaken(before: KnownKey): string {
  const result = `the result of run #${before.number}`;
  if (before.hasExpired) return `outputs of run #${before.number} have expired, or were removed`;
  if (!before.isKept) return `${result} was given up`;
  return before.usable ? `outputs of run #${before.number} are gone` : `${result} is older than the step's ttl`;
}

function withoutImage(components: CacheComponents): CacheComponents {
  return Object.fromEntries(Object.entries(components).filter(([name]) => name !== IMAGE_COMPONENT));
}

/** By name, the digests that an input would be made of. */
type Inputs = Readonly<Record<string, readonly string[]>>;

/** What the steps of a plan would read, as far as it would come from the cache. */
class PlannedInputs {
  readonly #specs: ReadonlyMap<string, readonly StepRunSpec[]>;
  readonly #outputs = new Map<string, Readonly<Record<string, Content>>>();
  /** All step runs of a step read the same. */
  readonly #known = new Map<StepPlan, Inputs | string>();

  constructor(specs: ReadonlyMap<string, readonly StepRunSpec[]>) {
    this.#specs = specs;
  }

  /** What a step run would leave. */
  add(stepRun: string, outputs: Readonly<Record<string, Content>>): void {
    this.#outputs.set(stepRun, outputs);
  }

  /** Of a step whose needs were all planned; the name of a step whose outputs are not known before it runs. */
  of(step: StepPlan): Inputs | string {
    const known = this.#known.get(step) ?? this.#work(step);
    this.#known.set(step, known);
    return known;
  }

  #work({ inputs }: StepPlan): Inputs | string {
    const digests: Record<string, readonly string[]> = {};
    for (const [name, { step, artifact, gather }] of Object.entries(inputs)) {
      const producers = this.#specs.get(step)!;
      if (producers.some(({ key, isBatch }) => isBatch || !this.#outputs.has(key))) return step;
      const made = producers.flatMap((producer) => {
        const content = this.#outputs.get(producer.key)![artifact];
        return content === undefined ? [] : [{ key: itemKey(producer), digest: content.digest }];
      });
      if (gather !== "single") digests[name] = [gather, ...made.flatMap(({ key, digest }) => [key, digest])];
      else if (made.length > 0) digests[name] = [made[0]!.digest];
    }
    return digests;
  }
}
