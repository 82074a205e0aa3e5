import type { Logger } from "pino";
import {
  AGENT_API_VERSION,
  type BootRequest,
  type BootResponse,
  type LeaseRef,
  type WorkerCapabilities,
} from "../protocol/agent-api.ts";
import { retrying } from "./retry.ts";

export interface BootOptions {
  boot(request: BootRequest, signal: AbortSignal): Promise<BootResponse>;
  readonly bootId: string;
  readonly agentVersion: string;
  readonly capabilities: WorkerCapabilities;
  /** Leases that the journals on disk hold. */
  readonly held: readonly LeaseRef[];
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/**
 * Tells the server that a new process of this agent speaks for the worker, and learns which leases it still has. Waits
 * for as long as the server is away: containers go on meanwhile, and nothing is started on a lease that may be gone.
 */
export function bootAgent(options: BootOptions): Promise<BootResponse> {
  const request: BootRequest = {
    bootId: options.bootId,
    agentVersion: options.agentVersion,
    apiVersion: AGENT_API_VERSION,
    capabilities: options.capabilities,
    held: [...options.held],
  };
  return retrying({ what: "announcing this agent to the server", signal: options.signal, log: options.log }, () =>
    options.boot(request, options.signal),
  );
}
