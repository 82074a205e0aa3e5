import { BerthError } from "../../protocol/errors.ts";
import type { KeyRing } from "../keys/key-ring.ts";
import type { Queryable } from "../store/database.ts";
import { keysInUse } from "../store/project-keys.ts";

/**
 * Refuses to start a server that cannot open what the database holds: found out later, each secret would fail by itself,
 * and new ones would be sealed under a key that the other servers do not have. Nothing is written.
 */
export async function requireKeys(db: Queryable, ring: KeyRing, lost: readonly string[]): Promise<void> {
  // A server without any key says so where one is needed; see NO_KEYS.
  if (ring.newest === null) return;
  const missing = (await keysInUse(db)).filter((key) => !ring.has(key) && !lost.includes(key));
  if (missing.length === 0) return ring.check();
  throw new BerthError(
    "conflict",
    `This server's keys do not open the secrets in the database: they are sealed under ${missing.join(", ")}, and its newest key is ${ring.newest}.`,
    {
      advice:
        "Nothing was changed. Put the right key back, in BERTH_SECRET_KEY_FILE, BERTH_SECRET_KEYS or BERTH_HOME/secret-key; " +
        `older keys stay there, before the newest. Lost for good? BERTH_LOST_KEYS="${missing.join(" ")}" starts without, and each secret has to be set again.`,
      details: { missing },
    },
  );
}
