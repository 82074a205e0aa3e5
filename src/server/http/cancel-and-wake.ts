import type { RunState } from "../../protocol/states.ts";
import { type CancelRequest, cancelRun } from "../scheduling/cancel.ts";
import type { Services } from "../services.ts";

/** Cancels a run, and wakes who watches it and the worker that holds it; answers the state that it is in now. */
export async function cancelAndWake(services: Services, request: CancelRequest): Promise<RunState> {
  const { state, worker } = await cancelRun(services, request);
  services.wakeups.notify(`run:${request.run}`);
  if (worker !== null) services.wakeups.notify(`worker:${worker}`);
  return state;
}
