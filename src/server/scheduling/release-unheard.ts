import type { LeaseRef } from "../../protocol/agent-api.ts";
import type { Services } from "../services.ts";
import { lockWorker } from "../store/boots.ts";
import { unheardLeases } from "../store/leases.ts";
import type { Poller } from "./claim.ts";
import { passPlacesOn } from "./places.ts";
import { releaseRun } from "./release.ts";

/**
 * An answer to a poll can be lost on its way, with the runs that it gave. An agent names in each poll what it holds, so a
 * run that it was given a while ago, has reported nothing of and does not name is one that it never heard of: it goes
 * back to the queue, and comes again under the next epoch.
 */
export async function releaseUnheard(
  { database, wakeups, log }: Pick<Services, "database" | "wakeups" | "log">,
  { worker, boot }: Poller,
  held: readonly LeaseRef[],
): Promise<void> {
  if ((await unheardLeases(database.pool, worker, held)).length === 0) return;
  const released = await database.transaction(async (client) => {
    // Only the newest process of the agent knows what is held.
    await lockWorker(client, worker, boot);
    const unheard = await unheardLeases(client, worker, held);
    for (const lease of unheard) await releaseRun(client, lease, "its worker never heard of it");
    return unheard;
  });
  for (const { run } of released) wakeups.notify(`run:${run}`);
  if (released.length > 0) wakeups.notify("queue");
  await passPlacesOn(
    { database, wakeups, log },
    released.map(({ run }) => run),
  );
}
