import { z } from "zod";
import type { Endpoint } from "../api/client.ts";
import { homeFiles, readIfPresent } from "./home.ts";

const ServerFile = z.object({ url: z.url() });
const PROBE_TIMEOUT_MS = 2_000;

/** Where the embedded server of this home says it listens; null when it is not there or was never started. */
export function embeddedEndpoint(home: string): Endpoint | null {
  const files = homeFiles(home);
  const server = readIfPresent(files.server);
  const token = readIfPresent(files.adminToken);
  if (server === null || token === null) return null;
  const parsed = ServerFile.safeParse(parseOrNull(server));
  return parsed.success ? { url: parsed.data.url, token: token.trim() } : null;
}

/** The same, when a server really answers there. */
export async function answeringEndpoint(home: string): Promise<Endpoint | null> {
  const endpoint = embeddedEndpoint(home);
  if (endpoint === null) return null;
  try {
    // Asked with the token: another program on a port that was once ours does not know it.
    // On a connection of its own: one that is kept and asked again and again would hold up a server that stops.
    const headers = { authorization: `Bearer ${endpoint.token}`, "user-agent": "berth-cli", connection: "close" };
    const response = await fetch(new URL("/api/v1/info", endpoint.url), {
      headers,
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
    });
    await response.body?.cancel();
    return response.ok ? endpoint : null;
  } catch {
    return null;
  }
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
