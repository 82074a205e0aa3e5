import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { Logger } from "pino";
import { cacheComponents, cacheKey } from "../pipeline/cache-key.ts";
import type { StepRunSpec } from "../pipeline/step-runs.ts";
import type { Assignment } from "../protocol/agent-api.ts";
import type { CacheHit, CacheRecord } from "../protocol/cache.ts";
import type { StepPlan } from "../protocol/plan.ts";
import type { BlobSource, StagedInput } from "../runtime/attempt-work.ts";
import { readManifest } from "../runtime/folder-manifest.ts";
import type { AgentClient } from "./agent-client.ts";
import { Permits } from "./permits.ts";

/** Requests at once: enough to hide the way to the server, few enough to leave it to others. */
const LOOKUPS_AT_ONCE = 8;

export interface StepCacheOptions {
  readonly assignment: Assignment;
  readonly client: Pick<AgentClient, "findCached">;
  readonly source: BlobSource;
  /** What a step run is made of, once it could start. */
  readonly imageOf: (stepRun: StepRunSpec) => string;
  readonly inputsOf: (stepRun: StepRunSpec) => readonly StagedInput[];
  readonly log: Logger;
}

/** Whether what a step run would make is known already. */
export class StepCache {
  readonly #options: StepCacheOptions;
  readonly #steps: ReadonlyMap<string, StepPlan>;
  readonly #permits = new Permits(LOOKUPS_AT_ONCE);
  readonly #records = new Map<string, CacheRecord>();

  constructor(options: StepCacheOptions) {
    this.#options = options;
    this.#steps = new Map(options.assignment.plan.steps.map((step) => [step.name, step]));
  }

  /** Whether a step run has a key at all; a batch as a whole has none, its items have. */
  applies({ step, isBatch }: StepRunSpec): boolean {
    return !isBatch && this.#steps.get(step)!.cache !== null;
  }

  /** The key of a step run that was looked up. */
  recordOf({ key }: StepRunSpec): CacheRecord | undefined {
    return this.#records.get(key);
  }

  /** What an earlier run made with the same key; null when the step has to run. Never fails: then it runs. */
  async find(
    stepRun: StepRunSpec,
    { mayTake, signal }: { readonly mayTake: boolean; readonly signal: AbortSignal },
  ): Promise<CacheHit | null> {
    const { assignment, client, log } = this.#options;
    const { ttlMs } = this.#steps.get(stepRun.step)!.cache!;
    try {
      const record = await this.#record(stepRun, signal);
      this.#records.set(stepRun.key, record);
      if (assignment.noCache || !mayTake) return null;
      using _permit = await this.#permits.acquire();
      const { run, epoch } = assignment;
      return await client.findCached(run, { epoch, stepRun: stepRun.key, key: record.key, ttlMs }, signal);
    } catch (error) {
      if (!signal.aborted)
        log.warn({ err: error, stepRun: stepRun.key }, "the cache could not be asked: the step runs");
      return null;
    }
  }

  async #record(stepRun: StepRunSpec, signal: AbortSignal): Promise<CacheRecord> {
    const { assignment, imageOf, inputsOf } = this.#options;
    const { plan, params, source } = assignment;
    const inputs: Record<string, readonly string[]> = {};
    let share: string | null = null;
    for (const input of inputsOf(stepRun)) {
      if (input.kind === "batch-item") share = await this.#shareOf(input, signal);
      else if (input.kind === "content") inputs[input.name] = [input.content.digest];
      else inputs[input.name] = [input.gather, ...input.items.flatMap(({ key, content }) => [key, content.digest])];
    }
    const { step, matrix } = stepRun;
    const facts = {
      plan,
      step: this.#steps.get(step)!,
      matrix,
      params,
      source,
      image: imageOf(stepRun),
      inputs,
      share,
    };
    const components = cacheComponents(facts);
    return { key: cacheKey(components), components };
  }

  /** By its bytes, so that an item is the same although the rest of what was split is not. */
  async #shareOf(input: Extract<StagedInput, { kind: "batch-item" }>, signal: AbortSignal): Promise<string> {
    const { content, slice } = input;
    const hash = createHash("sha256");
    if (slice.kind === "files") {
      const { entries } = await readManifest(this.#options.source, content, signal);
      const byPath = new Map(entries.map((entry) => [entry.path, entry]));
      hash.update(JSON.stringify(slice.paths.map((name) => byPath.get(name) ?? name)));
    } else {
      const path = await this.#options.source.ensure(content.digest, content.size, signal);
      hash.update(slice.prefix);
      const { start, end } = slice;
      if (end > start) await pipeline(createReadStream(path, { start, end: end - 1 }), hash, { end: false, signal });
      hash.update(slice.suffix);
    }
    return hash.digest("hex");
  }
}
