import type { RunState } from "../../protocol/states.ts";
import type { Queryable } from "./database.ts";

/** A group of runs; see Concurrency in protocol/plan.ts. */
export interface GroupRef {
  readonly project: string;
  readonly group: string;
}

/** The first half of the group's lock: any number, as long as nothing else in this database uses it. */
const GROUP_LOCKS = 727_482;
/** Given in one statement. */
export const FRONT_MAX = 100;

const OF_GROUP = "project_id = $1 AND concurrency_group = $2";
const HELD_BACK = `${OF_GROUP} AND state = 'queued' AND held_back`;
const PLACED = `${OF_GROUP} AND state IN ('queued', 'running', 'cancelling') AND NOT held_back`;
const NEXT_FIRST = "priority DESC, created_at, id";

/**
 * Whoever gives places of a group does it one after another, until the transaction ends. It is locked before any row is:
 * of a run, or of a pipeline. Two groups may share a lock by chance, and then only wait for one another.
 */
export async function lockGroup(client: Queryable, { project, group }: GroupRef): Promise<void> {
  await client.query("SELECT pg_advisory_xact_lock($1, hashtext($2))", [GROUP_LOCKS, `${project} ${group}`]);
}

export interface GroupRun {
  readonly id: string;
  /** As people call it: `wine#12`. */
  readonly name: string;
  readonly state: RunState;
}

/** The runs that hold the places of the group, the oldest first. */
export async function placeHolders(db: Queryable, { project, group }: GroupRef): Promise<GroupRun[]> {
  const { rows } = await db.query<GroupRun>(
    `SELECT r.id, p.name || '#' || r.number AS name, r.state
     FROM (SELECT * FROM runs WHERE ${PLACED}) r JOIN pipelines p ON p.id = r.pipeline_id ORDER BY r.created_at, r.id`,
    [project, group],
  );
  return rows;
}

/** How many runs of the group are held back; with `run`, how many of them get a place before it. */
export async function countHeldBack(db: Queryable, { project, group }: GroupRef, run: string | null): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `SELECT count(*)::integer AS count FROM runs r WHERE ${HELD_BACK} AND ($3::text IS NULL OR EXISTS (
       SELECT FROM runs self WHERE self.id = $3
         AND (-r.priority, r.created_at, r.id) < (-self.priority, self.created_at, self.id)))`,
    [project, group, run],
  );
  return rows[0]!.count;
}

/** Runs of the group, other than `newest`, that have not ended and are not being stopped; not the `kept` newest of them. */
export async function olderRuns(
  db: Queryable,
  { project, group }: GroupRef,
  { newest, kept }: { readonly newest: string; readonly kept: number },
): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `SELECT id FROM (
       SELECT id, created_at FROM runs WHERE ${HELD_BACK}
       UNION ALL SELECT id, created_at FROM runs WHERE ${PLACED} AND state <> 'cancelling') older
     WHERE id <> $3 ORDER BY created_at DESC, id DESC OFFSET $4`,
    [project, group, newest, kept],
  );
  return rows.map(({ id }) => id);
}

/** Who comes next in the group, and what they find. */
export interface Front {
  /** Places taken. */
  readonly taken: number;
  /** In the order in which they get their places; at most FRONT_MAX. */
  readonly waiting: readonly { readonly id: string; readonly limit: number }[];
}

export async function frontOf(client: Queryable, { project, group }: GroupRef): Promise<Front> {
  const waiting = await client.query<Front["waiting"][number]>(
    `SELECT id, concurrency_limit AS "limit" FROM runs WHERE ${HELD_BACK} ORDER BY ${NEXT_FIRST} LIMIT ${FRONT_MAX}`,
    [project, group],
  );
  if (waiting.rows.length === 0) return { taken: 0, waiting: [] };
  const { rows } = await client.query<{ taken: number }>(
    `SELECT count(*)::integer AS taken FROM runs WHERE ${PLACED}`,
    [project, group],
  );
  return { taken: rows[0]!.taken, waiting: waiting.rows };
}

/** Gives them their places; says who got one, for whoever was cancelled meanwhile does not. */
export async function admitRuns(client: Queryable, runs: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    "UPDATE runs SET held_back = false WHERE id = ANY ($1) AND state = 'queued' AND held_back RETURNING id",
    [runs],
  );
  return rows.map(({ id }) => id);
}

/**
 * The groups of these runs. Whether anybody waits in them is for the lock to say: a run that is held back may have been
 * written, and not be committed yet.
 */
export async function groupsOf(db: Queryable, runs: readonly string[]): Promise<GroupRef[]> {
  const { rows } = await db.query<GroupRef>({
    name: "groups-of",
    text: `SELECT DISTINCT r.project_id AS project, r.concurrency_group AS "group" FROM runs r
     WHERE r.id = ANY ($1) AND r.concurrency_group IS NOT NULL`,
    values: [runs],
  });
  return rows;
}

/** Groups whose next run could have a place and has none: nobody gave it, or nobody has yet. */
export async function groupsWithFreePlaces(db: Queryable, limit: number): Promise<GroupRef[]> {
  const { rows } = await db.query<GroupRef>(
    `SELECT project_id AS project, concurrency_group AS "group" FROM (
       SELECT DISTINCT ON (project_id, concurrency_group) project_id, concurrency_group, concurrency_limit
       FROM runs WHERE state = 'queued' AND held_back
       ORDER BY project_id, concurrency_group, ${NEXT_FIRST}) next
     WHERE concurrency_limit > (
       SELECT count(*) FROM runs r WHERE r.project_id = next.project_id AND r.concurrency_group = next.concurrency_group
         AND r.state IN ('queued', 'running', 'cancelling') AND NOT r.held_back)
     LIMIT $1`,
    [limit],
  );
  return rows;
}
