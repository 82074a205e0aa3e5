import { ApiClient, type Endpoint } from "../api/client.ts";
import { countLiveRuns } from "../api/runs.ts";
import { hasActiveSchedules } from "../api/schedules.ts";
import { hasActiveTriggers } from "../api/triggers.ts";
import { SUPERVISOR_USER_AGENT } from "./request-activity.ts";

/** Whether a platform has something to do, or something that only a server that is up can see coming. */
export async function isNeeded(endpointOf: () => Endpoint | null): Promise<boolean> {
  const endpoint = endpointOf();
  if (endpoint === null) return false;
  const api = new ApiClient(() => endpoint, SUPERVISOR_USER_AGENT);
  if ((await countLiveRuns(api)) > 0) return true;
  return (await hasActiveSchedules(api)) || (await hasActiveTriggers(api));
}
