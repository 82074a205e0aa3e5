import type { WorkerCapabilities } from "../../protocol/agent-api.ts";
import { BerthError } from "../../protocol/errors.ts";
import type { Queryable } from "./database.ts";

/** A worker as scheduling sees it. */
export interface WorkerOffer {
  readonly project: string;
  readonly name: string;
  readonly pool: string;
  readonly labels: readonly string[];
  readonly capabilities: WorkerCapabilities;
  readonly draining: boolean;
}

const OFFER = "project_id AS project, name, pool, labels, capabilities, draining";

/**
 * Makes this process of the agent the one that speaks for the worker. The worker's row stays locked until the
 * transaction ends: whatever an earlier process was about to claim is claimed before, and seen here, or not at all.
 */
export async function recordBoot(
  client: Queryable,
  worker: string,
  boot: { readonly id: string; readonly agentVersion: string; readonly capabilities: WorkerCapabilities },
): Promise<WorkerOffer & { readonly serverTime: Date }> {
  const { rows } = await client.query<WorkerOffer & { serverTime: Date }>(
    `UPDATE workers SET boot_id = $2, agent_version = $3, capabilities = $4, booted_at = now(), last_seen_at = now()
     WHERE id = $1 AND removed_at IS NULL RETURNING ${OFFER}, now() AS "serverTime"`,
    [worker, boot.id, boot.agentVersion, boot.capabilities],
  );
  return rows[0] ?? workerGone(worker);
}

/** The worker as it is now, while this process speaks for it; without a lock. */
export async function findOffer(
  db: Queryable,
  { worker, boot }: { worker: string; boot: string },
): Promise<WorkerOffer> {
  const { rows } = await db.query<WorkerOffer & { boot: string | null }>({
    name: "find-offer",
    text: `SELECT ${OFFER}, boot_id AS boot FROM workers WHERE id = $1 AND removed_at IS NULL`,
    values: [worker],
  });
  if (rows[0] === undefined) return workerGone(worker);
  if (rows[0].boot !== boot) throw staleBoot();
  return rows[0];
}

/** Locks the worker's row for a claim; throws `stale_boot` when another process of the agent has taken over. */
export async function lockWorker(client: Queryable, worker: string, boot: string): Promise<WorkerOffer> {
  const { rows } = await client.query<WorkerOffer & { boot: string | null }>({
    name: "lock-worker",
    text: `SELECT ${OFFER}, boot_id AS boot FROM workers WHERE id = $1 AND removed_at IS NULL FOR NO KEY UPDATE`,
    values: [worker],
  });
  if (rows[0] === undefined) return workerGone(worker);
  if (rows[0].boot !== boot) throw staleBoot();
  return rows[0];
}

/** A sign of life; locks the worker's row like a claim. */
export async function recordHeartbeat(
  client: Queryable,
  worker: string,
  boot: string,
  capabilities: WorkerCapabilities | undefined,
): Promise<WorkerOffer> {
  const { rows } = await client.query<WorkerOffer>({
    name: "record-heartbeat",
    text: `UPDATE workers SET last_seen_at = now(), capabilities = COALESCE($3, capabilities)
     WHERE id = $1 AND boot_id = $2 AND removed_at IS NULL RETURNING ${OFFER}`,
    values: [worker, boot, capabilities ?? null],
  });
  if (rows[0] === undefined) throw staleBoot();
  return rows[0];
}

/** What is to be done on the machine of a worker that was removed. */
export const REGISTER_AGAIN =
  "To use this machine again, delete agent.json and key in the agent's folder, then run `berth agent register` with a new token.";

export function staleBoot(): BerthError {
  return new BerthError("stale_boot", "A newer process of this worker's agent has taken over.", {
    advice:
      "Run one agent per worker: where a second machine uses a copy of the folder, register it as a worker of its own.",
  });
}

function workerGone(worker: string): never {
  throw new BerthError("not_found", `Worker ${worker} was removed.`, { advice: REGISTER_AGAIN });
}
