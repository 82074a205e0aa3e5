import { BerthError } from "../protocol/errors.ts";
import type { TrustChoice } from "../std/tls-trust.ts";
import { establishTrust } from "./establish-trust.ts";
import { AgentIdentity, loadIdentity, saveIdentity } from "./identity.ts";

/**
 * Tells a registered worker by what it is to know its server from its next start on, such as after the server got a new
 * authority. What it knew before stays if the server cannot be reached that way.
 */
export async function changeTrust(home: string, choice: TrustChoice, server?: string): Promise<AgentIdentity> {
  const known = loadIdentity(home);
  if (known === null) {
    throw new BerthError("not_found", `${home} is not registered with a server.`, {
      advice: "Register this worker with `berth agent register`.",
    });
  }
  const address = server ?? known.server;
  const trust = await establishTrust(home, address, choice);
  const identity = { ...AgentIdentity.parse(known), server: address, trust };
  saveIdentity(home, identity);
  return identity;
}
