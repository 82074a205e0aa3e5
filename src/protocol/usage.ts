import { z } from "zod";
import { Name } from "./names.ts";

const Time = z.iso.datetime();
const Bytes = z.int().nonnegative();

export const HISTORY_DAYS_MAX = 400;

/** A limit; null is none. */
export const Quota = z.object({
  /** Null: the project as a whole. */
  pipeline: Name.nullable(),
  /** Of a project, what its blobs have; of a pipeline, what its versions refer to. */
  maxBytes: Bytes.nullable(),
  /** Of one artifact: a file, or a folder with all files. */
  maxArtifactBytes: Bytes.nullable(),
  changedBy: z.string(),
  changedAt: Time,
});
export type Quota = z.infer<typeof Quota>;

/** `PUT /store/quotas` */
export const SetQuotaRequest = z.strictObject({
  pipeline: Name.nullable(),
  maxBytes: Bytes.nullable(),
  maxArtifactBytes: Bytes.nullable(),
});

/** With what is used of it by now. */
export const UsedQuota = Quota.extend({ usedBytes: Bytes });
export type UsedQuota = z.infer<typeof UsedQuota>;
export const Quotas = z.object({ items: z.array(UsedQuota) });

export const TierUsage = z.object({
  tier: z.enum(["database", "object", "large"]),
  blobs: z.int(),
  bytes: Bytes,
});

export const PipelineUsage = z.object({
  pipeline: Name,
  versions: z.int(),
  /** Equal bytes once; what several pipelines have counts for each. */
  bytes: Bytes,
  /** As often as versions refer to them. */
  referencedBytes: Bytes,
  /** Of these, what is pinned. */
  pinnedBytes: Bytes,
});
export type PipelineUsage = z.infer<typeof PipelineUsage>;

/** `GET /store/usage` */
export const StoreUsage = z.object({
  /** What the blobs of the project have, each once: sources, and what is about to be removed, included. */
  bytes: Bytes,
  tiers: z.array(TierUsage),
  /** Those with the most bytes first. */
  pipelines: z.array(PipelineUsage),
  /** By day, in UTC, from today on: versions whose time is over by then; the first day has what is due already. */
  expiring: z.array(z.object({ day: z.iso.date(), versions: z.int(), referencedBytes: Bytes })),
  quotas: z.array(UsedQuota),
  /** Oldest first: of the project, or of the pipeline that was asked for. */
  history: z.array(z.object({ at: Time, bytes: Bytes, referencedBytes: Bytes })),
});
export type StoreUsage = z.infer<typeof StoreUsage>;

/** `POST /store/collect` */
export const CollectRequest = z.strictObject({
  /** Only says what would go. */
  dryRun: z.boolean().default(false),
  /** For how long a blob stays that nothing refers to; left out for a day. */
  graceMs: z
    .int()
    .nonnegative()
    .max(365 * 86_400_000)
    .optional(),
});

export const CollectAnswer = z.object({
  /** Versions, and what they referred to. */
  expired: z.int(),
  expiredBytes: Bytes,
  /** Blobs that nothing referred to. */
  blobs: z.int(),
  blobBytes: Bytes,
  /** Objects that no blob named. */
  objects: z.int(),
  objectBytes: Bytes,
  /** False when there was not time for all of it: ask again. */
  done: z.boolean(),
});
export type CollectAnswer = z.infer<typeof CollectAnswer>;
