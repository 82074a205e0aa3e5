import type { Queryable } from "./database.ts";

export interface RegistrationTokenRow {
  readonly id: string;
  readonly pool: string;
  readonly labels: readonly string[];
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly usedBy: string | null;
  readonly state: "usable" | "used" | "expired" | "revoked";
}

const COLUMNS = `
  id, pool, labels, created_by AS "createdBy", created_at AS "createdAt", expires_at AS "expiresAt",
  used_by AS "usedBy",
  CASE WHEN used_at IS NOT NULL THEN 'used' WHEN revoked_at IS NOT NULL THEN 'revoked'
       WHEN expires_at <= now() THEN 'expired' ELSE 'usable' END AS state`;

export interface NewRegistrationToken {
  readonly id: string;
  readonly project: string;
  readonly hash: Buffer;
  readonly pool: string;
  readonly labels: readonly string[];
  readonly createdBy: string;
  readonly lifetimeSeconds: number;
}

export async function insertRegistrationToken(
  db: Queryable,
  token: NewRegistrationToken,
): Promise<RegistrationTokenRow> {
  const { rows } = await db.query<RegistrationTokenRow>(
    `INSERT INTO registration_tokens (id, project_id, hash, pool, labels, created_by, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))
     RETURNING ${COLUMNS}`,
    [token.id, token.project, token.hash, token.pool, token.labels, token.createdBy, token.lifetimeSeconds],
  );
  return rows[0]!;
}

/** The project of a token that may be used now; null otherwise. */
export async function projectOfRegistrationToken(db: Queryable, hash: Buffer): Promise<string | null> {
  const { rows } = await db.query<{ project: string }>(
    `SELECT project_id AS project FROM registration_tokens
      WHERE hash = $1 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > now()`,
    [hash],
  );
  return rows[0]?.project ?? null;
}

export interface UsedRegistrationToken {
  readonly id: string;
  readonly project: string;
  readonly pool: string;
  readonly labels: readonly string[];
}

/** Uses the token up. Of any number of callers at once, exactly one gets it, if that one's transaction commits. */
export async function useRegistrationToken(db: Queryable, hash: Buffer): Promise<UsedRegistrationToken | null> {
  const { rows } = await db.query<UsedRegistrationToken>(
    `UPDATE registration_tokens SET used_at = now()
      WHERE hash = $1 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > now()
      RETURNING id, project_id AS project, pool, labels`,
    [hash],
  );
  return rows[0] ?? null;
}

export async function setRegistrationTokenWorker(db: Queryable, id: string, worker: string): Promise<void> {
  await db.query("UPDATE registration_tokens SET used_by = $2 WHERE id = $1", [id, worker]);
}

/** Newest first. */
export async function listRegistrationTokens(
  db: Queryable,
  project: string,
  page: { readonly before: string | null; readonly limit: number },
): Promise<RegistrationTokenRow[]> {
  const { rows } = await db.query<RegistrationTokenRow>(
    `SELECT ${COLUMNS} FROM registration_tokens
      WHERE project_id = $1 AND ($2::text IS NULL OR id < $2)
      ORDER BY id DESC LIMIT $3`,
    [project, page.before, page.limit],
  );
  return rows;
}

/** Whether there was such a token; one that is used up is revoked without effect. */
export async function revokeRegistrationToken(db: Queryable, project: string, id: string): Promise<boolean> {
  const { rowCount } = await db.query(
    "UPDATE registration_tokens SET revoked_at = coalesce(revoked_at, now()) WHERE project_id = $1 AND id = $2",
    [project, id],
  );
  return rowCount === 1;
}
