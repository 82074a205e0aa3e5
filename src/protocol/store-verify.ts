import { z } from "zod";
import { Digest } from "./names.ts";

/** Uses of a damaged blob that are named one by one. */
export const USES_NAMED_MAX = 20;

export const VerifyStoreRequest = z.object({
  /** From the answer before; left out at the start. */
  cursor: z.string().max(200).optional(),
  /** Only whether everything is there and as long as it should be. */
  quick: z.boolean().default(false),
});
export type VerifyStoreRequest = z.input<typeof VerifyStoreRequest>;

/** What cannot be read without a damaged blob. */
export const BlobUse = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("artifact"),
    pipeline: z.string(),
    step: z.string(),
    name: z.string(),
    version: z.int(),
    item: z.string(),
    /** The run that made it. */
    run: z.int(),
  }),
  z.object({ kind: z.literal("source"), pipeline: z.string(), run: z.int() }),
  z.object({ kind: z.enum(["schedule", "trigger"]), pipeline: z.string(), name: z.string() }),
]);
export type BlobUse = z.infer<typeof BlobUse>;

export const DamagedBlob = z.object({
  digest: Digest,
  size: z.int(),
  tier: z.enum(["database", "object", "large"]),
  /** `missing`: there are no such bytes; `damaged`: there are others. */
  fault: z.enum(["missing", "damaged"]),
  /** Which store, and the key in it; null for a row of the database. */
  object: z.object({ place: z.string(), key: z.string() }).nullable(),
  /** At most USES_NAMED_MAX of them. */
  uses: z.array(BlobUse),
  hasMoreUses: z.boolean(),
});
export type DamagedBlob = z.infer<typeof DamagedBlob>;

const Amount = z.object({ blobs: z.int(), bytes: z.int() });

/** One part of the work; `next` leads to the following one, and is null at the end. */
export const VerifyStorePage = z.object({
  checked: Amount,
  /** Of the whole project, for progress; only at the start. */
  total: Amount.nullable(),
  damaged: z.array(DamagedBlob),
  /** Blobs that were noted as damaged before and are as they should be again. */
  mended: z.int(),
  next: z.string().nullable(),
});
export type VerifyStorePage = z.infer<typeof VerifyStorePage>;
