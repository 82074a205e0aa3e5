import { newId } from "../protocol/ids.ts";
import { readAdminToken, writePrivate } from "./home.ts";
import { hashToken, newSecretToken } from "./secret-token.ts";
import { recordAudit } from "./store/audit.ts";
import type { Database } from "./store/database.ts";
import { findCredential, hasInstallationToken, insertToken, revokeTokensNamed } from "./store/tokens.ts";

const NAME = "local-admin";
/** Any number; two replicas that find no token make one. */
const ADVISORY_LOCK = 7_274_827_003;

/**
 * Makes sure that somebody can get in: an administrator's token of the whole installation, in a file that only the
 * user of this server can read. With a database of its own the server keeps that file right; on a shared one it makes a
 * token only when there is none yet, since others may have been given out.
 *
 * @returns whether a token was made
 */
export async function ensureAdminToken(database: Database, file: string, ownDatabase: boolean): Promise<boolean> {
  const kept = readAdminToken(file);
  if (kept !== null && (await findCredential(database.pool, hashToken(kept), null)) !== null) return false;
  return await database.transaction(async (client) => {
    await client.query("SELECT pg_advisory_xact_lock($1)", [ADVISORY_LOCK]);
    if (!ownDatabase && (await hasInstallationToken(client))) return false;
    // The file was lost, so nobody is meant to have what was in it.
    await revokeTokensNamed(client, NAME);
    const { token, hash } = newSecretToken("api");
    const id = newId("apiToken");
    await insertToken(client, {
      id,
      project: null,
      name: NAME,
      role: "admin",
      hash,
      createdBy: "first start",
      lifetimeSeconds: null,
    });
    const details = { name: NAME, role: "admin", lifetimeSeconds: null };
    await recordAudit(client, { project: null, action: "token.create", subject: id, details });
    // Before the commit: a token without its file would be lost, a file without its token is made anew.
    writePrivate(file, `${token}\n`);
    return true;
  });
}
