import type { Role } from "../http/route.ts";
import type { Queryable } from "./database.ts";
import { DEFAULT_PROJECT } from "./migrations.ts";

/** The longest that a session of a browser lasts, and how long it may go unused. */
export const SESSION_SECONDS = 7 * 24 * 3600;
const SESSION_IDLE_SECONDS = 12 * 3600;

export interface TokenRow {
  readonly id: string;
  /** Null for a token of the whole installation. */
  readonly projectName: string | null;
  readonly name: string;
  readonly role: Role;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly lastUsedAt: Date | null;
}

export const TOKEN_COLUMNS = `
  id, (SELECT p.name FROM projects p WHERE p.id = project_id) AS "projectName", name, role, created_by AS "createdBy", created_at AS "createdAt",
  expires_at AS "expiresAt", last_used_at AS "lastUsedAt"`;

export interface NewToken {
  readonly id: string;
  readonly project: string | null;
  readonly name: string;
  readonly role: Role;
  readonly hash: Buffer;
  readonly createdBy: string;
  /** From now by the database's clock; null never expires. */
  readonly lifetimeSeconds: number | null;
}

export async function insertToken(db: Queryable, token: NewToken): Promise<TokenRow> {
  const { rows } = await db.query<TokenRow>(
    `INSERT INTO api_tokens (id, project_id, name, role, hash, created_by, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))
     RETURNING ${TOKEN_COLUMNS}`,
    [token.id, token.project, token.name, token.role, token.hash, token.createdBy, token.lifetimeSeconds],
  );
  return rows[0]!;
}

export interface Credential {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly project: string | null;
  /** The project that the request works in; null when there is none of that name for this token. */
  readonly requestProject: string | null;
  /** Whether `last_used_at` is older than its precision. */
  readonly touch: boolean;
}

/** Finds a token that is valid now, and with it the project that is meant: the token's own, or the one by name. */
export async function findCredential(
  db: Queryable,
  hash: Buffer,
  projectName: string | null,
): Promise<Credential | null> {
  const { rows } = await db.query<Credential>(
    `SELECT t.id, t.name, t.role, t.project_id AS project, p.id AS "requestProject",
            (t.last_used_at IS NULL OR t.last_used_at < now() - interval '1 minute') AS touch
       FROM api_tokens t
       LEFT JOIN projects p
         ON (t.project_id IS NULL OR t.project_id = p.id)
        AND p.name = coalesce($2, CASE WHEN t.project_id IS NULL THEN $3 ELSE p.name END)
      WHERE t.hash = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())
        AND (t.session_of IS NULL OR COALESCE(t.last_used_at, t.created_at) > now() - make_interval(secs => $4))`,
    [hash, projectName, DEFAULT_PROJECT, SESSION_IDLE_SECONDS],
  );
  return rows[0] ?? null;
}

/** At most once a minute per token, so that requests do not queue up for one row. */
export async function touchToken(db: Queryable, id: string): Promise<void> {
  await db.query(
    `UPDATE api_tokens SET last_used_at = now()
      WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`,
    [id],
  );
}

/** The project's tokens that were not revoked, oldest first; with `installation`, also those of the whole of it. */
export async function listTokens(
  db: Queryable,
  project: string,
  installation: boolean,
  page: { readonly after: string | null; readonly limit: number },
): Promise<TokenRow[]> {
  const { rows } = await db.query<TokenRow>(
    `SELECT ${TOKEN_COLUMNS} FROM api_tokens
      WHERE revoked_at IS NULL AND (project_id = $1 OR ($2 AND project_id IS NULL)) AND ($3::text IS NULL OR id > $3)
      ORDER BY id LIMIT $4`,
    [project, installation, page.after, page.limit],
  );
  return rows;
}

/** The token as it was; null where there was none to revoke. Sessions that were made from it end with it. */
export async function revokeToken(
  db: Queryable,
  id: string,
  project: string,
  installation: boolean,
): Promise<{ readonly name: string; readonly project: string | null } | null> {
  const { rows } = await db.query<{ name: string; project: string | null }>(
    `WITH revoked AS (
       UPDATE api_tokens SET revoked_at = now()
        WHERE id = $1 AND revoked_at IS NULL AND (project_id = $2 OR ($3 AND project_id IS NULL))
       RETURNING id, name, project_id AS project),
     sessions AS (
       UPDATE api_tokens SET revoked_at = now() WHERE session_of = (SELECT id FROM revoked) AND revoked_at IS NULL)
     SELECT name, project FROM revoked`,
    [id, project, installation],
  );
  return rows[0] ?? null;
}

/** Whether there is any token of the whole installation that is valid now. */
export async function hasInstallationToken(db: Queryable): Promise<boolean> {
  const { rowCount } = await db.query(
    `SELECT FROM api_tokens
      WHERE project_id IS NULL AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) LIMIT 1`,
  );
  return rowCount === 1;
}

/** Of the whole installation. */
export async function revokeTokensNamed(db: Queryable, name: string): Promise<void> {
  await db.query(
    `UPDATE api_tokens SET revoked_at = now()
      WHERE project_id IS NULL AND revoked_at IS NULL
        AND (name = $1 OR session_of IN (SELECT id FROM api_tokens WHERE project_id IS NULL AND name = $1))`,
    [name],
  );
}
