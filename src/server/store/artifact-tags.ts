import type { TagChange, TaggedArtifact } from "../../protocol/artifact-tags.ts";
import { BerthError } from "../../protocol/errors.ts";
import { TAGS_MAX, type Tags } from "../../protocol/output-notes.ts";
import type { VersionInRun } from "./artifacts.ts";
import type { Queryable } from "./database.ts";
import { jsonParameter } from "./json-parameter.ts";

/** Items of one version that one request changes. */
const ITEMS_MAX = 10_000;

/** Tags of versions that were just made, by their steps or their pipeline file. */
export async function insertStepTags(
  client: Queryable,
  project: string,
  tagged: readonly { readonly version: number; readonly tags: Tags }[],
): Promise<void> {
  const rows = tagged.flatMap(({ version, tags }) =>
    Object.entries(tags).map(([key, value]) => ({ version, key, value })),
  );
  if (rows.length === 0) return;
  await client.query({
    name: "insert-step-tags",
    text: `INSERT INTO artifact_tags (artifact_version_id, key, project_id, value)
     SELECT version, key, $1, value FROM json_to_recordset($2::json) AS t (version bigint, key text, value text)`,
    values: [project, jsonParameter(rows)],
  });
}

export interface TagChanges {
  readonly set: Tags;
  readonly remove: readonly string[];
  readonly by: string;
}

/** Changes the tags of the items of one version, of all or of one; of a version that a restart took over, those of its maker. */
export async function changeTags(
  client: Queryable,
  project: string,
  { artifact, run }: Pick<VersionInRun, "artifact" | "run">,
  item: string | undefined,
  { set, remove, by }: TagChanges,
): Promise<TaggedArtifact> {
  const ids = await lockItems(client, { artifact, run }, item);
  const changed = await client.query<{ version: number }>(
    `WITH added AS (
       INSERT INTO artifact_tags AS t (artifact_version_id, key, project_id, value, changed_by)
       SELECT v.id, s.key, $2, s.value, $4
       FROM unnest($1::bigint[]) AS v (id), json_to_recordset($3::json) AS s (key text, value text)
       ON CONFLICT (artifact_version_id, key) DO UPDATE
         SET value = excluded.value, changed_by = excluded.changed_by, changed_at = now()
         WHERE t.value IS DISTINCT FROM excluded.value
       RETURNING artifact_version_id),
     removed AS (
       UPDATE artifact_tags SET value = NULL, changed_by = $4, changed_at = now()
       WHERE artifact_version_id = ANY ($1) AND key = ANY ($5) AND value IS NOT NULL RETURNING artifact_version_id)
     SELECT artifact_version_id AS version FROM added UNION SELECT artifact_version_id FROM removed`,
    [ids, project, jsonParameter(Object.entries(set).map(([key, value]) => ({ key, value }))), by, remove],
  );
  const { rowCount: crowded } = await client.query(
    `SELECT FROM artifact_tags WHERE artifact_version_id = ANY ($1) AND value IS NOT NULL
     GROUP BY artifact_version_id HAVING count(*) > ${TAGS_MAX} LIMIT 1`,
    [ids],
  );
  if (crowded !== 0) {
    throw new BerthError("conflict", `It would have more than ${TAGS_MAX} tags: nothing was changed.`, {
      advice: "Remove tags first; `berth artifacts ls --json` shows them.",
    });
  }
  return { items: ids.length, changed: changed.rows.length };
}

/** Locked, so that two who change tags at the same time are not both below the limit. */
async function lockItems(
  client: Queryable,
  { artifact, run }: Pick<VersionInRun, "artifact" | "run">,
  item: string | undefined,
): Promise<number[]> {
  const { rows } = await client.query<{ id: number }>(
    `SELECT v.id FROM artifact_versions v
     JOIN step_runs s ON s.run_id = $2 AND s.key = v.step_run AND COALESCE(s.taken_from_run, s.run_id) = v.run_id
     WHERE v.artifact_id = $1 AND ($3::text IS NULL OR v.item = $3)
     ORDER BY v.id LIMIT ${ITEMS_MAX + 1} FOR NO KEY UPDATE OF v`,
    [artifact, run, item ?? null],
  );
  if (rows.length > ITEMS_MAX) {
    throw new BerthError("invalid_request", `The version has more than ${ITEMS_MAX} items.`, {
      advice: "Name one of them: --item of the command line, ?item= of the API.",
    });
  }
  if (rows.length > 0) return rows.map(({ id }) => id);
  throw new BerthError("not_found", item === undefined ? "Nothing of it is committed." : `It has no item "${item}".`, {
    advice: "`berth artifacts show`, without an item, lists what it has.",
  });
}

/** The newest change of each tag, in item and key order. */
export async function listTagChanges(
  db: Queryable,
  { artifact, run }: Pick<VersionInRun, "artifact" | "run">,
  item: string | undefined,
  after: readonly [item: string, key: string] | null,
  limit: number,
): Promise<TagChange[]> {
  const { rows } = await db.query<Omit<TagChange, "at"> & { at: Date }>(
    `SELECT v.item, t.key, t.value, t.changed_by AS by, t.changed_at AS at FROM artifact_versions v
     JOIN step_runs s ON s.run_id = $2 AND s.key = v.step_run AND COALESCE(s.taken_from_run, s.run_id) = v.run_id
     JOIN artifact_tags t ON t.artifact_version_id = v.id
     WHERE v.artifact_id = $1 AND ($3::text IS NULL OR v.item = $3)
       AND ($4::text IS NULL OR (v.item, t.key) > ($4, $5::text))
     ORDER BY v.item, t.key LIMIT $6`,
    [artifact, run, item ?? null, after?.[0] ?? null, after?.[1] ?? null, limit],
  );
  return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
}
