import type { HeartbeatRequest, HeartbeatResponse } from "../../protocol/agent-api.ts";
import { recordHeartbeat } from "../store/boots.ts";
import type { Database } from "../store/database.ts";
import { extendLeases, grantedLeases, leasesWithout } from "../store/leases.ts";
import { cancelsOf, type Poller } from "./claim.ts";

/** Renews what the agent holds and the server still grants; says what it no longer grants. */
export async function takeHeartbeat(
  database: Database,
  { worker, boot }: Poller,
  { held, capabilities }: HeartbeatRequest,
): Promise<HeartbeatResponse> {
  return database.transaction(async (client) => {
    const { draining } = await recordHeartbeat(client, worker, boot, capabilities);
    const extended = await extendLeases(client, worker, held);
    // What the agent has ended itself is not renewed, and not lost either.
    const granted = extended.length === held.length ? extended : await grantedLeases(client, worker, held);
    return {
      extended: extended.map(({ run, epoch }) => ({ run, epoch })),
      lost: leasesWithout(held, granted),
      cancel: cancelsOf(granted),
      draining,
    };
  });
}
