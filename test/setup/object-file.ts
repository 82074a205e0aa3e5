import assert from "node:assert/strict";
import { join } from "node:path";
import type { Services } from "../../src/server/services.ts";

/** The file of a folder store that holds this blob now. */
export async function objectFile({ database }: Services, folder: string, digest: string): Promise<string> {
  const { rows } = await database.pool.query<{ key: string }>(
    "SELECT object_key AS key FROM blobs WHERE digest = $1 AND object_key IS NOT NULL",
    [digest],
  );
  assert.equal(rows.length, 1, `blob ${digest} is no object`);
  return join(folder, "objects", rows[0]!.key);
}
