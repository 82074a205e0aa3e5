import type { ArtifactVersion, LineageRef } from "../../protocol/resources.ts";
import type { Queryable } from "./database.ts";

const TAGS_OF_VERSION = `COALESCE((SELECT json_object_agg(t.key, t.value ORDER BY t.key) FROM artifact_tags t
           WHERE t.artifact_version_id = v.id AND t.value IS NOT NULL), '{}')`;

const VERSION_COLUMNS = `
         v.id, p.name AS pipeline, a.step, a.name, v.version, v.item, v.kind, v.digest, v.size,
         v.file_count AS "fileCount", v.file_name AS "fileName", v.content_type AS "contentType", v.format,
         ${TAGS_OF_VERSION} AS tags,
         json_build_object('id', r.id, 'number', r.number) AS run, v.step_run AS "stepRun", v.attempt,
         json_build_object('id', w.id, 'name', w.name) AS worker, v.created_at AS "createdAt",
         CASE WHEN v.pinned_at IS NULL AND v.expired_at IS NULL THEN v.expires_at END AS "expiresAt",
         v.pinned_at AS "pinnedAt", v.pinned_by AS "pinnedBy", v.pin_reason AS "pinReason",
         v.expired_at AS "expiredAt", v.expired_by AS "expiredBy"`;

const VERSION_TABLES = `artifact_versions v JOIN artifacts a ON a.id = v.artifact_id JOIN pipelines p ON p.id = a.pipeline_id
  JOIN runs r ON r.id = v.run_id JOIN workers w ON w.id = v.worker_id`;

const VERSION = `SELECT ${VERSION_COLUMNS} FROM ${VERSION_TABLES}`;

interface VersionRow extends Omit<ArtifactVersion, "createdAt" | "expiresAt" | "pinned" | "expired"> {
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly pinnedAt: Date | null;
  readonly pinnedBy: string | null;
  readonly pinReason: string | null;
  readonly expiredAt: Date | null;
  readonly expiredBy: string | null;
}

function toVersion(row: VersionRow): ArtifactVersion {
  const { pinnedAt, pinnedBy, pinReason, expiredAt, expiredBy, ...version } = row;
  return {
    ...version,
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt?.toISOString() ?? null,
    pinned: pinnedAt === null ? null : { at: pinnedAt.toISOString(), by: pinnedBy!, reason: pinReason },
    expired: expiredAt === null ? null : { at: expiredAt.toISOString(), by: expiredBy! },
  };
}

/** Runs that hold versions of the run `$n`: itself, and those that it took step runs over from. */
function makersOf(run: string): string {
  return `ARRAY(SELECT ${run}::text UNION
      SELECT taken_from_run FROM step_runs WHERE run_id = ${run} AND taken_from_run IS NOT NULL)`;
}

export interface TagFilter {
  readonly key: string;
  readonly value: string | null;
}

export interface ArtifactFilter {
  readonly pipeline: string | undefined;
  readonly step: string | undefined;
  readonly name: string | undefined;
  /** Id of a run. */
  readonly run: string | undefined;
  /** Whether those are listed, too, whose content is gone. */
  readonly all: boolean;
  /** Only versions with all of these tags, of any value where it is null. */
  readonly tags: readonly TagFilter[];
  /** Only versions older than this one. */
  readonly before: number | null;
  readonly limit: number;
}

/**
 * Ids of the newest versions of the artifacts that are named: of each the newest few, by an index, so that a name of which
 * there are few is not looked for among all versions of all others. By the negative of the id, which only that index has
 * in order: the primary key would be read from its end.
 */
const NEWEST_OF_NAME = `AND v.id = ANY (ARRAY(
  SELECT newest.id FROM artifacts na JOIN pipelines np ON np.id = na.pipeline_id CROSS JOIN LATERAL (
    SELECT nv.id FROM artifact_versions nv
    WHERE nv.artifact_id = na.id AND ($6::bigint IS NULL OR -nv.id > -$6) AND ($8 OR nv.expired_at IS NULL)
    ORDER BY -nv.id LIMIT $7) AS newest
  WHERE na.project_id = $1 AND ($2::text IS NULL OR np.name = $2) AND ($3::text IS NULL OR na.step = $3)
    AND ($4::text IS NULL OR na.name = $4)
  ORDER BY newest.id DESC LIMIT $7))`;

/** Newest first. */
export async function listArtifactVersions(
  db: Queryable,
  project: string,
  { pipeline, step, name, run, tags, all, before, limit }: ArtifactFilter,
): Promise<ArtifactVersion[]> {
  const isNamed = (pipeline ?? step ?? name) !== undefined;
  const byName = isNamed && run === undefined && tags.length === 0 ? NEWEST_OF_NAME : "";
  const { rows } = await db.query<VersionRow>(
    `${VERSION} WHERE v.project_id = $1 AND ($2::text IS NULL OR p.name = $2) AND ($3::text IS NULL OR a.step = $3)
       AND ($4::text IS NULL OR a.name = $4) AND ($5::text IS NULL OR v.run_id = ANY (${makersOf("$5")}) AND EXISTS (SELECT FROM step_runs s
         WHERE s.run_id = $5 AND s.key = v.step_run AND COALESCE(s.taken_from_run, s.run_id) = v.run_id))
       AND ($6::bigint IS NULL OR v.id < $6) AND ($8 OR v.expired_at IS NULL)${withTags(tags.length, 9)} ${byName}
     ORDER BY v.id DESC LIMIT $7`,
    [
      ...[project, pipeline ?? null, step ?? null, name ?? null, run ?? null, before, limit, all],
      ...tags.flatMap(({ key, value }) => [key, value]),
    ],
  );
  return rows.map(toVersion);
}

/** A condition per tag, whose key and value are the parameters from `first` on; an index has them by version. */
function withTags(count: number, first: number): string {
  const conditions = Array.from({ length: count }, (_, index) => {
    const [key, value] = [`$${first + 2 * index}`, `$${first + 2 * index + 1}`];
    return ` AND v.id IN (SELECT t.artifact_version_id FROM artifact_tags t
         WHERE t.project_id = $1 AND t.key = ${key} AND t.value = COALESCE(${value}::text, t.value))`;
  });
  return conditions.join("");
}

/** A version of an artifact, as one number that all items of a batch or matrix share. */
export interface VersionInRun {
  readonly artifact: number;
  readonly version: number;
  /** Id of the run that has it. */
  readonly run: string;
  /** Whether no step run that adds an item to it is still to succeed. */
  readonly complete: boolean;
}

/**
 * The version with this number; null finds the newest one that is complete and of which something is there, or else the
 * newest complete one, whose content is gone. Null when there is none.
 */
export async function findVersionInRun(
  db: Queryable,
  project: string,
  artifact: { readonly pipeline: string; readonly step: string; readonly name: string },
  version: number | null,
): Promise<VersionInRun | null> {
  const values = [project, artifact.pipeline, artifact.step, artifact.name];
  const find = async (name: string, text: string, more: readonly number[] = []) =>
    (await db.query<VersionInRun>({ name, text, values: [...values, ...more] })).rows[0] ?? null;
  if (version !== null) return find("find-version", BY_NUMBER, [version]);
  return (
    (await find("find-latest-of-few", LATEST_OF_FEW)) ??
    (await find("find-latest-version", LATEST_KEPT)) ??
    (await find("find-latest-gone", LATEST_GONE))
  );
}

/** Among so many of the newest the latest nearly always is: they are read from the index, one after another. */
const NEWEST_FEW = "LIMIT 20";
/** Keeps what follows from being asked of every version at once. */
const ALL = "OFFSET 0";

/** Newest first: whether a version is complete is asked of one after another. */
function versionsInRuns(condition: string, howMany: string): string {
  return `(SELECT ar.artifact_id AS artifact, ar.version, ar.run_id AS run FROM artifact_runs ar
      WHERE ar.artifact_id = (SELECT a.id FROM artifacts a JOIN pipelines p ON p.id = a.pipeline_id
          WHERE a.project_id = $1 AND p.name = $2 AND a.step = $3 AND a.name = $4) AND ${condition}
      ORDER BY ar.version DESC ${howMany}) AS versions
    CROSS JOIN LATERAL (SELECT NOT EXISTS (SELECT FROM step_runs s
      WHERE s.run_id = versions.run AND s.step = $3 AND s.state <> 'succeeded') AS complete OFFSET 0) AS asked`;
}

/** A step run `s` that was taken over has what the run made in which it ran. */
const IS_OF_STEP_RUN = "v.run_id = COALESCE(s.taken_from_run, s.run_id) AND v.step_run = s.key";

/** Of what a run only took over, the makers' versions count. */
const latestKept = (howMany: string) =>
  `SELECT versions.*, complete FROM ${versionsInRuns("ar.expired_at IS NULL", howMany)}
   WHERE complete AND EXISTS (SELECT FROM step_runs s JOIN artifact_versions v ON ${IS_OF_STEP_RUN}
     WHERE s.run_id = versions.run AND s.step = $3 AND v.name = $4 AND v.expired_at IS NULL OFFSET 0)
   LIMIT 1`;
const LATEST_OF_FEW = latestKept(NEWEST_FEW);
const LATEST_KEPT = latestKept(ALL);
const BY_NUMBER = `SELECT versions.*, complete FROM ${versionsInRuns("ar.version = $5", ALL)} LIMIT 1`;
const LATEST_GONE = `SELECT versions.*, complete FROM ${versionsInRuns("true", ALL)} WHERE complete LIMIT 1`;

/** Where a page of items starts: after the one of this place. */
export type ItemCursor = readonly [position: number, item: number];

export interface ItemFilter {
  readonly item: string | undefined;
  readonly after: ItemCursor | null;
  readonly limit: number;
}

export interface ArtifactItem extends ArtifactVersion {
  /** Place of its step run in the order of display. */
  readonly place: ItemCursor;
  readonly schema: unknown;
}

/**
 * The items of one version, in the order of their step runs; one item for a plain step. Items that a restart took over
 * are those of the run that made them, by their own version number.
 */
export async function listItems(
  db: Queryable,
  { artifact, run }: Pick<VersionInRun, "artifact" | "run">,
  { item, after, limit }: ItemFilter,
): Promise<ArtifactItem[]> {
  const { rows } = await db.query<VersionRow & { position: number; itemNumber: number; schema: unknown }>({
    name: "list-items",
    text: `SELECT ${VERSION_COLUMNS}, v.schema, s.position, COALESCE(s.item, -1) AS "itemNumber"
     FROM ${VERSION_TABLES} JOIN step_runs s ON ${IS_OF_STEP_RUN}
     WHERE a.id = $1 AND s.run_id = $2 AND s.step = a.step AND v.name = a.name AND ($3::text IS NULL OR v.item = $3)
       AND (s.position, COALESCE(s.item, -1)) > (COALESCE($4::integer, -1), COALESCE($5::integer, -1))
     ORDER BY s.position, COALESCE(s.item, -1) LIMIT $6`,
    values: [artifact, run, item ?? null, after?.[0] ?? null, after?.[1] ?? null, limit],
  });
  return rows.map(({ position, itemNumber, schema, ...row }) => ({
    ...toVersion(row),
    ...{ schema, place: [position, itemNumber] },
  }));
}

/** What these step runs read; by the key of the step run, of which each is here once. */
export async function lineageOf(
  db: Queryable,
  stepRuns: readonly { readonly run: string; readonly key: string }[],
): Promise<Map<string, LineageRef[]>> {
  const { rows } = await db.query<LineageRef & { stepRun: string }>(
    `SELECT i.step_run AS "stepRun", i.input, v.id, p.name AS pipeline, a.step, a.name, v.version, v.item
     FROM unnest($1::text[], $2::text[]) AS wanted (run, key)
     JOIN artifact_inputs i ON i.run_id = wanted.run AND i.step_run = wanted.key
     JOIN artifact_versions v ON v.id = i.artifact_version_id
     JOIN artifacts a ON a.id = v.artifact_id JOIN pipelines p ON p.id = a.pipeline_id
     ORDER BY i.input, v.id`,
    [stepRuns.map(({ run }) => run), stepRuns.map(({ key }) => key)],
  );
  const refs = rows.map(({ stepRun, ...ref }) => ({ stepRun, ref }));
  return new Map(
    [...Map.groupBy(refs, ({ stepRun }) => stepRun)].map(([key, list]) => [key, list.map(({ ref }) => ref)]),
  );
}
