import { type RegisterRequest, RegisterResponse, type WorkerCapabilities } from "../protocol/agent-api.ts";
import { BerthError } from "../protocol/errors.ts";
import type { TlsTrust, TrustChoice } from "../std/tls-trust.ts";
import { QUICK } from "./agent-client.ts";
import { answerError, noAnswer } from "./answer-error.ts";
import { establishTrust } from "./establish-trust.ts";
import { connectionPool, type HttpRequest, readBody, sendRequest } from "./http-request.ts";
import {
  type AgentIdentity,
  ensurePrivateKey,
  loadIdentity,
  publicKeyOf,
  resolvedTrust,
  saveIdentity,
} from "./identity.ts";

export interface RegisterOptions {
  readonly home: string;
  readonly server: string;
  /** By what the server is known over TLS; default: what Node and the system trust. */
  readonly trust?: TrustChoice;
  /** Single use, from `berth token create --registration`. */
  readonly token: string;
  readonly name: string;
  readonly type: RegisterRequest["type"];
  readonly agentVersion: string;
  readonly capabilities: WorkerCapabilities;
}

/**
 * Trades a registration token for an identity. The key pair is made before the request and kept, so that a lost answer
 * costs a token and leaves no second key.
 */
export async function registerAgent(options: RegisterOptions): Promise<AgentIdentity> {
  const known = loadIdentity(options.home);
  if (known !== null) {
    throw new BerthError(
      "conflict",
      `${options.home} is already registered as worker "${known.name}" of ${known.server}`,
      {
        advice: "Start it with `berth agent start`, or choose another folder by BERTH_HOME.",
      },
    );
  }
  const privateKey = ensurePrivateKey(options.home);
  const body: RegisterRequest = {
    name: options.name,
    type: options.type,
    publicKey: publicKeyOf(privateKey),
    agentVersion: options.agentVersion,
    capabilities: options.capabilities,
  };
  const trust = await establishTrust(options.home, options.server, options.trust ?? {});
  const connection = { server: options.server, trust: resolvedTrust(options.home, trust) };
  const answer = await postRegistration(connection, options.token, JSON.stringify(body));
  const identity: AgentIdentity = { server: options.server, trust, name: options.name, ...answer };
  saveIdentity(options.home, identity);
  return identity;
}

async function postRegistration(
  { server, trust }: { readonly server: string; readonly trust: TlsTrust },
  token: string,
  body: string,
): Promise<RegisterResponse> {
  const url = new URL("api/v1/agent/register", server.endsWith("/") ? server : `${server}/`);
  const headers = { "content-type": "application/json", accept: "application/json", authorization: `Bearer ${token}` };
  const request: HttpRequest = {
    method: "POST",
    url,
    headers: { ...headers, "content-length": Buffer.byteLength(body) },
    body,
    deadlines: QUICK,
  };
  const pool = connectionPool(url, trust);
  try {
    const answer = await sendRequest(pool, request);
    const bytes = await readBody(request, answer);
    if (answer.status !== 200) throw answerError(request, answer, bytes);
    return RegisterResponse.parse(JSON.parse(bytes.toString("utf8")));
  } catch (error) {
    throw noAnswer(error);
  } finally {
    pool.destroy();
  }
}
