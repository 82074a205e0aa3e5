import { LEASE_DURATION_MS, type RegisterRequest, type WorkerCapabilities } from "../../protocol/agent-api.ts";
import type { Queryable } from "./database.ts";

/** What authentication needs to know of a worker. */
export interface WorkerIdentity {
  readonly project: string;
  readonly name: string;
  readonly publicKey: string;
  readonly bootId: string | null;
  /** The database's clock, seconds since 1970. */
  readonly serverTime: number;
}

/** Null for a worker that does not exist or was removed. */
export async function findWorkerIdentity(db: Queryable, id: string): Promise<WorkerIdentity | null> {
  const { rows } = await db.query<WorkerIdentity>({
    name: "find-worker-identity",
    text: `SELECT project_id AS project, name, public_key AS "publicKey", boot_id AS "bootId",
                  extract(epoch FROM now())::float8 AS "serverTime"
             FROM workers WHERE id = $1 AND removed_at IS NULL`,
    values: [id],
  });
  return rows[0] ?? null;
}

export interface NewWorker extends RegisterRequest {
  readonly id: string;
  readonly project: string;
  readonly pool: string;
  readonly labels: readonly string[];
}

/** False when the project has a worker of this name, or the key is registered already. */
export async function insertWorker(db: Queryable, worker: NewWorker): Promise<boolean> {
  const { rowCount } = await db.query(
    `INSERT INTO workers (id, project_id, name, type, pool, labels, public_key, agent_version, capabilities)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT DO NOTHING`,
    [
      worker.id,
      worker.project,
      worker.name,
      worker.type,
      worker.pool,
      worker.labels,
      worker.publicKey,
      worker.agentVersion,
      JSON.stringify(worker.capabilities),
    ],
  );
  return rowCount === 1;
}

export interface WorkerRow {
  readonly id: string;
  readonly name: string;
  readonly type: "local" | "custom" | "cloud";
  readonly pool: string;
  readonly labels: readonly string[];
  readonly agentVersion: string;
  readonly capabilities: WorkerCapabilities;
  /** `new` has not booted yet; `offline` was not heard of for the duration of a lease. */
  readonly state: "new" | "online" | "offline" | "draining";
  readonly registeredAt: Date;
  readonly lastSeenAt: Date | null;
  /** Runs that it holds now. */
  readonly held: number;
}

const WORKERS = `
  SELECT w.id, w.name, w.type, w.pool, w.labels, w.agent_version AS "agentVersion", w.capabilities,
         w.registered_at AS "registeredAt", w.last_seen_at AS "lastSeenAt",
         CASE WHEN w.boot_id IS NULL OR w.last_seen_at IS NULL THEN 'new'
              WHEN w.last_seen_at <= now() - make_interval(secs => ${LEASE_DURATION_MS / 1000}) THEN 'offline'
              WHEN w.draining THEN 'draining'
              ELSE 'online' END AS state,
         (SELECT count(*) FROM runs r WHERE r.worker_id = w.id AND r.state IN ('running', 'cancelling')) AS held
    FROM workers w
   WHERE w.project_id = $1 AND w.removed_at IS NULL`;

/** By name. */
export async function listWorkers(
  db: Queryable,
  project: string,
  page: { readonly after: string | null; readonly limit: number },
): Promise<WorkerRow[]> {
  const { rows } = await db.query<WorkerRow>(
    `${WORKERS} AND ($2::text IS NULL OR w.name > $2) ORDER BY w.name LIMIT $3`,
    [project, page.after, page.limit],
  );
  return rows;
}

/** By id or by name. */
export async function findWorker(db: Queryable, project: string, worker: string): Promise<WorkerRow | null> {
  const { rows } = await db.query<WorkerRow>(`${WORKERS} AND (w.id = $2 OR w.name = $2)`, [project, worker]);
  return rows[0] ?? null;
}

/** False when there is no such worker. A draining worker keeps its runs and is given no further ones. */
export async function setDraining(db: Queryable, project: string, id: string, draining: boolean): Promise<boolean> {
  const { rowCount } = await db.query(
    "UPDATE workers SET draining = $3 WHERE project_id = $1 AND id = $2 AND removed_at IS NULL",
    [project, id, draining],
  );
  return rowCount === 1;
}

/** By id, or by name while it is not removed; locked: nothing is claimed for it until the transaction ends. */
export async function lockWorkerToRemove(
  client: Queryable,
  project: string,
  worker: string,
): Promise<{ id: string; name: string; isRemoved: boolean } | null> {
  const { rows } = await client.query<{ id: string; name: string; isRemoved: boolean }>(
    `SELECT id, name, removed_at IS NOT NULL AS "isRemoved" FROM workers
     WHERE project_id = $1 AND (id = $2 OR name = $2 AND removed_at IS NULL) FOR NO KEY UPDATE`,
    [project, worker],
  );
  return rows[0] ?? null;
}

export async function markRemoved(client: Queryable, id: string): Promise<void> {
  await client.query("UPDATE workers SET removed_at = now() WHERE id = $1", [id]);
}
