import { type DamagedBlob, USES_NAMED_MAX, type VerifyStorePage } from "../../protocol/store-verify.ts";
import { sharedKey } from "../objects/object-key.ts";
import { findStoreOf, type ObjectTiers } from "../objects/object-tiers.ts";
import type { Services } from "../services.ts";
import type { BlobFault } from "./blobs.ts";
import { blobsAfter, blobTotals, blobUses, stillDamaged, type VerifiedRow } from "./verify-rows.ts";

/** Of one part of the work, so that each takes seconds; a blob that is larger is a part of its own. */
const BYTES_PER_PAGE = 256 * 1024 * 1024;
const BLOBS_PER_PAGE = 500;

export interface VerifyOptions {
  readonly project: string;
  /** Digest of the last blob that was looked at; empty at the start. */
  readonly after: string;
  readonly quick: boolean;
}

/** Looks at the next blobs of a project. `next` is the digest to go on after; null at the end. */
export async function verifyStore(
  { database: { pool }, blobs, objects }: Pick<Services, "database" | "blobs" | "objects">,
  { project, after, quick }: VerifyOptions,
): Promise<VerifyStorePage> {
  const rows = await blobsAfter(pool, project, after, BLOBS_PER_PAGE + 1);
  const page = quick ? rows.slice(0, BLOBS_PER_PAGE) : withinBudget(rows.slice(0, BLOBS_PER_PAGE));
  const digests = page.map(({ digest }) => digest);
  const faults = await blobs.faulty(project, digests, quick ? 0 : Number.POSITIVE_INFINITY);
  const damaged = await stillDamaged(pool, project, [...faults.keys()]);
  const findings: DamagedBlob[] = [];
  for (const row of page.filter(({ digest }) => damaged.has(digest))) {
    const uses = await blobUses(pool, project, row.digest, USES_NAMED_MAX + 1);
    findings.push(findingOf(objects, project, row, faults.get(row.digest)!, uses));
  }
  return {
    checked: { blobs: page.length, bytes: page.reduce((sum, { size }) => sum + size, 0) },
    total: after === "" ? await blobTotals(pool, project) : null,
    damaged: findings,
    mended: page.filter(({ digest, isFaulty }) => isFaulty && !faults.has(digest)).length,
    next: page.length < rows.length ? page.at(-1)!.digest : null,
  };
}

function withinBudget(rows: readonly VerifiedRow[]): readonly VerifiedRow[] {
  let bytes = 0;
  const end = rows.findIndex(({ size }) => {
    bytes += size;
    return bytes > BYTES_PER_PAGE;
  });
  return end < 0 ? rows : rows.slice(0, Math.max(1, end));
}

function findingOf(
  tiers: ObjectTiers,
  project: string,
  { digest, size, tier, objectKey }: VerifiedRow,
  fault: BlobFault,
  uses: DamagedBlob["uses"],
): DamagedBlob {
  const key = objectKey ?? sharedKey(project, digest);
  const place = tier === "database" ? null : (findStoreOf(tiers, tier, key)?.place ?? "a store that is not configured");
  return {
    ...{ digest, size, tier, fault },
    object: place === null ? null : { place, key },
    uses: uses.slice(0, USES_NAMED_MAX),
    hasMoreUses: uses.length > USES_NAMED_MAX,
  };
}
