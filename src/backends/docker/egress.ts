import { lookup } from "node:dns/promises";
import { parseDestination } from "../../protocol/egress.ts";
import { fault } from "../../protocol/faults.ts";
import { errnoOf } from "../../std/errno.ts";
import { BackendError } from "../execution-backend.ts";

/** The only destinations of a network, for its holder. */
export interface Egress {
  /** `tcp:10.1.0.0/16:443`, as the shim takes them. */
  readonly rules: readonly string[];
  /** `name:address`: names are found without a resolver, which is out of reach unless it is allowed itself. */
  readonly hosts: readonly string[];
}

/** Finds the addresses of names, once: whoever has another one later is not reached by it. */
export async function resolveEgress(allowed: readonly string[]): Promise<Egress> {
  const rules = new Set<string>();
  const hosts = new Set<string>();
  for (const text of allowed) {
    const destination = parseDestination(text);
    if (destination === null) throw new TypeError(`${text} is no destination`);
    const { protocol, host, bits, port } = destination;
    if (bits !== null) rules.add(`${protocol}:${host}/${bits}:${port}`);
    else {
      for (const address of await addressesOf(host)) {
        rules.add(`${protocol}:${address}/32:${port}`);
        hosts.add(`${host}:${address}`);
      }
    }
  }
  return { rules: [...rules], hosts: [...hosts] };
}

async function addressesOf(name: string): Promise<string[]> {
  try {
    return (await lookup(name, { family: 4, all: true })).map(({ address }) => address);
  } catch (cause) {
    const message = `The worker finds no IPv4 address of ${name}, which isolation.network.allow names.`;
    const options = { evidence: (cause as Error).message, advice: "Check the name, and the worker's resolver." };
    if (errnoOf(cause) === "EAI_AGAIN")
      throw new BackendError("unavailable", fault("stage-io", message, options), { cause });
    throw new BackendError("spec-unsupported", fault("spec-invalid", message, options), { cause });
  }
}
