import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { Logger } from "pino";
import { cacheComponents, cacheKey, isWhole } from "../pipeline/cache-key.ts";
import type { StepRunSpec } from "../pipeline/step-runs.ts";
import type { Assignment } from "../protocol/agent-api.ts";
import type { CacheHit, CacheRecord } from "../protocol/cache.ts";
import type { StepPlan } from "../protocol/plan.ts";
import type { BlobSource, StagedInput } from "../runtime/attempt-work.ts";
import { readManifest } from "../runtime/folder-manifest.ts";
import { Permits } from "../std/permits.ts";
import type { AgentClient } from "./agent-client.ts";
import { CacheLookups } from "./cache-lookups.ts";

/** Shares of a batch's input that are read at once: of a batch, all items become ready together. */
const READS_AT_ONCE = 8;

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
  readonly #reads = new Permits(READS_AT_ONCE);
  readonly #lookups: CacheLookups;
  readonly #records = new Map<string, CacheRecord>();

  constructor(options: StepCacheOptions) {
    this.#options = options;
    const { assignment, client } = options;
    this.#steps = new Map(assignment.plan.steps.map((step) => [step.name, step]));
    this.#lookups = new CacheLookups((lookups, signal) => client.findCached(assignment, lookups, signal));
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
    const { assignment, log } = this.#options;
    const step = this.#steps.get(stepRun.step)!;
    try {
      const record = await this.#record(stepRun, signal);
      this.#records.set(stepRun.key, record);
      if (assignment.noCache || !mayTake) return null;
      const { ttlMs } = step.cache!;
      const hit = await this.#lookups.find({ stepRun: stepRun.key, key: record.key, ttlMs }, signal);
      return hit !== null && isWhole(step, hit.outputs) ? hit : null;
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
    using _permit = await this.#reads.acquire();
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
