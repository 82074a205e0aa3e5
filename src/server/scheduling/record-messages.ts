import type { MessagesRequest } from "../../protocol/messages.ts";
import { saveUsage } from "../store/attempt-usage.ts";
import type { Database } from "../store/database.ts";
import { type LeasedRun, type LeaseHolder, requireLease } from "../store/leases.ts";
import { saveMetrics, saveProgress } from "../store/messages.ts";

/**
 * Takes what steps of a run say and use; returns how many metrics of it are new. No lock is needed: each statement decides row by
 * row what is newer or known, and what another epoch wrote is another row.
 */
export async function recordMessages(
  database: Database,
  holder: LeaseHolder,
  { progress, metrics, usage = [] }: Omit<MessagesRequest, "epoch">,
): Promise<number> {
  return database.transaction(async (client) => {
    const run = await requireLease(client, holder);
    const believed = <T extends { readonly at: string }>(said: T): T => ({ ...said, at: believableTime(run, said.at) });
    await saveUsage(client, holder, usage);
    await saveProgress(client, holder, progress.map(believed));
    return saveMetrics(client, holder, metrics.map(believed));
  });
}

/** An agent's clock is only believed between the grant of its lease and now. */
function believableTime({ grantedAt, now }: LeasedRun, at: string): string {
  return new Date(Math.min(Math.max(Date.parse(at), grantedAt.getTime()), now.getTime())).toISOString();
}
