import type { Queryable } from "./database.ts";
import { TOKEN_COLUMNS, type TokenRow } from "./tokens.ts";

export interface NewSession {
  readonly id: string;
  readonly hash: Buffer;
  /** The longest that it lasts; it never outlives what it is made from. */
  readonly lifetimeSeconds: number;
}

export interface SessionRow extends TokenRow {
  /** Null for the whole installation. */
  readonly project: string | null;
}

/** A session with what the token may that has this hash; null where that is not valid. */
export async function sessionOfToken(db: Queryable, hash: Buffer, session: NewSession): Promise<SessionRow | null> {
  return await insertSession(db, "SELECT id FROM api_tokens WHERE hash = $4", hash, session);
}

/** The same by a code, which is good for this once. */
export async function sessionOfCode(db: Queryable, hash: Buffer, session: NewSession): Promise<SessionRow | null> {
  const used = "DELETE FROM session_codes WHERE hash = $4 AND expires_at > now() RETURNING token_id AS id";
  return await insertSession(db, used, hash, session);
}

async function insertSession(
  db: Queryable,
  parent: string,
  hash: Buffer,
  session: NewSession,
): Promise<SessionRow | null> {
  const { rows } = await db.query<SessionRow>(
    `WITH parent AS (${parent})
     INSERT INTO api_tokens (id, project_id, name, role, hash, created_by, expires_at, session_of)
     SELECT $1, project_id, name, role, $2, 'session', LEAST(expires_at, now() + make_interval(secs => $3)),
            COALESCE(session_of, id)
       FROM api_tokens
      WHERE id = (SELECT id FROM parent) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
     RETURNING ${TOKEN_COLUMNS}, project_id AS project`,
    [session.id, session.hash, session.lifetimeSeconds, hash],
  );
  return rows[0] ?? null;
}

/** Also removes those whose time is over, of which there are few. */
export async function insertCode(
  db: Queryable,
  code: { readonly hash: Buffer; readonly tokenId: string; readonly lifetimeSeconds: number },
): Promise<Date> {
  await db.query("DELETE FROM session_codes WHERE expires_at <= now()");
  const { rows } = await db.query<{ expiresAt: Date }>(
    `INSERT INTO session_codes (hash, token_id, expires_at) VALUES ($1, $2, now() + make_interval(secs => $3))
     RETURNING expires_at AS "expiresAt"`,
    [code.hash, code.tokenId, code.lifetimeSeconds],
  );
  return rows[0]!.expiresAt;
}
