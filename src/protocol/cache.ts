import { z } from "zod";
import { Content } from "./artifacts.ts";
import { idOf } from "./ids.ts";
import { Digest, Name } from "./names.ts";

/** The key of a step run, and what it was made of; see pipeline/cache-key.ts. */
export const CacheRecord = z.object({
  key: Digest,
  components: z.record(z.string().max(200), z.string().max(400)),
});
export type CacheRecord = z.infer<typeof CacheRecord>;

/** Step runs in one request of an agent: many become ready at once, and a request costs more than a lookup. */
export const CACHE_LOOKUPS_MAX = 200;

export const CacheLookup = z.object({
  stepRun: z.string().min(1).max(600),
  key: Digest,
  ttlMs: z.int().positive().nullable(),
});
export type CacheLookup = z.infer<typeof CacheLookup>;

/** `POST /agent/runs/:run/cache`: what earlier runs made with the same keys. */
export const CacheLookups = z.object({
  epoch: z.int().min(1),
  lookups: z.array(CacheLookup).min(1).max(CACHE_LOOKUPS_MAX),
});
export const CacheHit = z.object({
  run: idOf("run"),
  number: z.int(),
  outputs: z.record(Name, Content),
});
export type CacheHit = z.infer<typeof CacheHit>;
/** In the order of the lookups. */
export const CacheAnswer = z.object({ hits: z.array(CacheHit.nullable()) });

export const CacheDifference = z.object({
  /** `inputs.rows`, `params.seed`, `image`, `command` … */
  name: z.string(),
  before: z.string().nullable(),
  after: z.string().nullable(),
  /** Versions of an input's artifact, where it is one. */
  beforeVersion: z.int().nullable(),
  afterVersion: z.int().nullable(),
});
export type CacheDifference = z.infer<typeof CacheDifference>;

/**
 * Why a step ran although the same had been made: the run was not to look; the result was older than the step's ttl, came
 * only later, has expired or was given up since, or has lost outputs.
 */
export const NotTakenReason = z.enum(["off", "too-old", "not-yet", "expired", "given-up", "gone"]);
export type NotTakenReason = z.infer<typeof NotTakenReason>;

/** `GET /runs/:run/cache`: for each step run that has a key, where its result came from and what changed before it. */
export const CacheExplanation = z.object({
  stepRun: z.string(),
  /** Number of the run whose result was taken; null when it ran. */
  takenFrom: z.int().nullable(),
  components: z.record(z.string(), z.string()),
  /** The newest result before, with what was different; null when there was none. */
  compared: z.object({ run: z.int(), differences: z.array(CacheDifference) }).nullable(),
  /** Where there are no differences, and it ran; null also when it is not known. */
  reason: NotTakenReason.nullable(),
});
export type CacheExplanation = z.infer<typeof CacheExplanation>;

export const CacheExplanations = z.object({
  items: z.array(CacheExplanation),
  /** Steps of the run that have a cache, whether or not it has come to them. */
  cached: z.array(Name),
});
export type CacheExplanations = z.infer<typeof CacheExplanations>;

/** `POST /cache/plan`: what a run would take from the cache. */
export const CachePlanStep = z.object({
  stepRun: z.string(),
  /** `open`: it depends on something that is only known when the run comes to it. */
  verdict: z.enum(["hit", "miss", "open", "off"]),
  why: z.string(),
  run: z.int().nullable(),
  differences: z.array(CacheDifference),
});
export type CachePlanStep = z.infer<typeof CachePlanStep>;
export const CachePlan = z.object({ steps: z.array(CachePlanStep) });
export type CachePlan = z.infer<typeof CachePlan>;
