import { AGENT_API_VERSION, type BootRequest, type BootResponse } from "../../protocol/agent-api.ts";
import { BerthError } from "../../protocol/errors.ts";
import type { Services } from "../services.ts";
import { recordBoot } from "../store/boots.ts";
import { activeRunsOf, extendLeases, grantedLeases, leasesWithout } from "../store/leases.ts";
import { passPlacesOn } from "./places.ts";
import { releaseRun } from "./release.ts";

/**
 * A process of an agent begins. From here on it alone speaks for the worker; runs that the worker has on paper but that
 * this process does not hold are known to be lost, and given up at once.
 */
export async function bootWorker(
  { database, wakeups, log, installation }: Pick<Services, "database" | "wakeups" | "log" | "installation">,
  worker: string,
  request: BootRequest,
): Promise<BootResponse> {
  if (request.apiVersion !== AGENT_API_VERSION) throw otherVersion(request);
  const { response, released } = await database.transaction(async (client) => {
    const { serverTime, ...offer } = await recordBoot(client, worker, { ...request, id: request.bootId });
    const given = leasesWithout(await activeRunsOf(client, worker), request.held);
    for (const lease of given) await releaseRun(client, lease, "its agent was started again without it");
    await extendLeases(client, worker, request.held);
    const kept = await grantedLeases(client, worker, request.held);
    const answer: BootResponse = {
      worker: { id: worker, name: offer.name, pool: offer.pool, labels: [...offer.labels] },
      installation,
      kept: kept.map(({ run, epoch, agentSeq, cancel }) => ({ run, epoch, ackedSeq: agentSeq, cancel })),
      lost: leasesWithout(request.held, kept),
      serverTime: serverTime.toISOString(),
    };
    return { response: answer, released: given };
  });
  for (const { run } of released) wakeups.notify(`run:${run}`);
  if (released.length > 0) wakeups.notify("queue");
  await passPlacesOn(
    { database, wakeups, log },
    released.map(({ run }) => run),
  );
  return response;
}

function otherVersion({ apiVersion, agentVersion }: BootRequest): BerthError {
  const versions = `version ${apiVersion} of the agent API, this server version ${AGENT_API_VERSION}`;
  return new BerthError("invalid_request", `The agent (Berth ${agentVersion}) speaks ${versions}.`, {
    advice:
      apiVersion > AGENT_API_VERSION
        ? "Update the server first, or start an agent of the server's version on this worker."
        : "Update the agent on this worker. What runs there goes on meanwhile, and the new one takes it over.",
    details: { apiVersion: AGENT_API_VERSION },
  });
}
