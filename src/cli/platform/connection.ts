import { setTimeout as sleep } from "node:timers/promises";
import { ApiClient, type Endpoint } from "../api/client.ts";
import { ServerUnreachable } from "../api/no-answer.ts";
import type { CliContext } from "../context.ts";
import { configuredEndpoint, type ServerChoice } from "./configured-endpoint.ts";
import { trustOfEndpoint } from "./endpoint-trust.ts";
import { ensurePlatform } from "./ensure-platform.ts";
import { berthHome } from "./home.ts";

/** A server to talk to, and the way back to it when it goes away in the middle of something. */
export interface Connection {
  readonly api: ApiClient;
  /** Whether it is the platform in BERTH_HOME, which this command may start. */
  readonly embedded: boolean;
  /** Called after a request went unanswered, `attempt` times in a row; returns when another one makes sense. */
  recover(attempt: number, signal?: AbortSignal): Promise<void>;
}

const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 5_000;

/** The configured server, or the embedded platform, started if need be. */
export async function connect(context: CliContext, choice: ServerChoice): Promise<Connection> {
  const home = berthHome(context.env);
  const configured = configuredEndpoint(context.env, choice);
  if (configured !== null) {
    const endpoint = { ...configured, trust: await trustOfEndpoint(configured, home) };
    return { api: new ApiClient(() => endpoint), embedded: false, recover: backOff };
  }
  let endpoint: Endpoint = await ensurePlatform(context, home);
  let recovery: Promise<void> | null = null;
  const recoverPlatform = async () => {
    await sleep(RETRY_FIRST_MS);
    endpoint = await ensurePlatform(context, home, true);
  };
  return {
    api: new ApiClient(() => endpoint),
    embedded: true,
    // What is followed at the same time loses the server at the same time: once is enough to bring it back.
    recover: () => {
      recovery ??= recoverPlatform().finally(() => {
        recovery = null;
      });
      return recovery;
    },
  };
}

async function backOff(attempt: number, signal?: AbortSignal): Promise<void> {
  await sleep(Math.min(RETRY_FIRST_MS * 2 ** (attempt - 1), RETRY_MAX_MS), undefined, signal ? { signal } : {});
}

/** How often a request that went unanswered is sent again before the command gives up: about two minutes. */
const ATTEMPTS_MAX = 30;

/**
 * Does `work`, again after each loss of the connection. Only for what may be done twice: reads, cancels, and what
 * carries a request key.
 */
export async function persistently<T>(
  connection: Connection,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!isConnectionLoss(error) || signal?.aborted || attempt >= ATTEMPTS_MAX) throw error;
    }
    await connection.recover(attempt, signal);
  }
}

/** Whether the server went away or is on its way back, rather than having refused. */
export function isConnectionLoss(error: unknown): boolean {
  return error instanceof ServerUnreachable || (error as { code?: unknown } | null)?.code === "unavailable";
}
