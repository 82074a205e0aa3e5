import type { CacheHit, CacheLookup } from "../../protocol/cache.ts";
import type { Services } from "../services.ts";
import { blobsOf } from "../store/restarts.ts";

/** Read for one answer, while steps wait for it; beyond, bytes are looked for and their size compared. */
const HASHED_BYTES_MAX = 64 * 1024 ** 2;

/** What was made before is taken only where all its bytes are there; else the step runs, and makes them again. */
export async function intactHits(
  { database, blobs }: Pick<Services, "database" | "blobs">,
  project: string,
  lookups: readonly Pick<CacheLookup, "stepRun">[],
  hits: readonly (CacheHit | null)[],
): Promise<(CacheHit | null)[]> {
  const found = hits.flatMap((hit, index) =>
    hit === null ? [] : [{ key: lookups[index]!.stepRun, takenFrom: hit.run }],
  );
  const needed = await blobsOf(database.pool, found);
  if (needed.length === 0) return [...hits];
  const faults = await blobs.faulty(project, [...new Set(needed.map(({ digest }) => digest))], HASHED_BYTES_MAX);
  const broken = new Set(needed.filter(({ digest }) => faults.has(digest)).map(({ stepRun }) => stepRun));
  return hits.map((hit, index) => (broken.has(lookups[index]!.stepRun) ? null : hit));
}
