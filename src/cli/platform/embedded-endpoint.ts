import { z } from "zod";
import type { TlsTrust } from "../../std/tls-trust.ts";
import type { Endpoint } from "../api/client.ts";
import { SecureFetch } from "../api/secure-fetch.ts";
import { homeFiles, readIfPresent } from "./home.ts";

const ServerFile = z.object({
  url: z.url(),
  tls: z
    .object({ caFile: z.string(), caFingerprint: z.string().nullable(), serverName: z.string().nullable() })
    .nullish(),
  /** Where other machines reach it; null where they do not. */
  workerUrl: z.url().nullish(),
});
const PROBE_TIMEOUT_MS = 2_000;

export interface EmbeddedEndpoint extends Endpoint {
  readonly trust: TlsTrust;
  readonly workerUrl: string | null;
  /** Of the server's own authority; null where it has none. */
  readonly caFingerprint: string | null;
}

/** Where the embedded server of this home says it listens; null when it is not there or was never started. */
export function embeddedEndpoint(home: string): EmbeddedEndpoint | null {
  const files = homeFiles(home);
  const server = readIfPresent(files.server);
  const token = readIfPresent(files.adminToken);
  if (server === null || token === null) return null;
  const parsed = ServerFile.safeParse(parseOrNull(server));
  if (!parsed.success) return null;
  const { url, tls, workerUrl } = parsed.data;
  const trust = tls ? { caFile: tls.caFile, ...(tls.serverName === null ? {} : { serverName: tls.serverName }) } : {};
  return { url, token: token.trim(), trust, workerUrl: workerUrl ?? null, caFingerprint: tls?.caFingerprint ?? null };
}

/** The same, when a server really answers there. */
export async function answeringEndpoint(home: string): Promise<Endpoint | null> {
  const endpoint = embeddedEndpoint(home);
  if (endpoint === null) return null;
  try {
    // Asked with the token: another program on a port that was once ours does not know it.
    // On a connection of its own: one that is kept and asked again and again would hold up a server that stops.
    const headers = { authorization: `Bearer ${endpoint.token}`, "user-agent": "berth-cli", connection: "close" };
    const response = await new SecureFetch().fetch(new URL("/api/v1/info", endpoint.url), endpoint.trust, {
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
