import { setTimeout as sleep } from "node:timers/promises";
import { SingleFlight } from "../../std/single-flight.ts";
import type { AttemptRef, AttemptSpec } from "../execution-backend.ts";
import { scopeName } from "../object-name.ts";
import { resolveEgress } from "./egress.ts";
import type { Engine } from "./engine.ts";
import { EngineError, isStatus } from "./engine-error.ts";
import type { InspectedContainer } from "./engine-types.ts";
import { isOwnNetwork, networkLabels } from "./labels.ts";
import { ownContainerConfig } from "./own-container.ts";

/** Root with the rights to set routes and to become nobody, which is what the shim does with them. */
const HOLDER_USER = "0:0";
const HOLDER_CAPABILITIES = ["NET_ADMIN", "SETUID", "SETGID"];
/** How long a holder that another process is making may take to be seen. */
const RIVAL_TIMEOUT_MS = 10_000;
const RIVAL_INTERVAL_MS = 20;

export interface ScopeNetworksOptions {
  readonly installation: string;
  /** The image of holders, made when the first is. */
  readonly image: () => Promise<string>;
  readonly usernsMode: "" | "host";
}

/** A network of a scope: the one that reaches whatever it can, or one of those that reach some destinations only. */
export interface ScopeNetwork {
  readonly scope: string;
  /** As in `isolation.network.allow`, never empty; null for all. */
  readonly allow: readonly string[] | null;
}

/** The network that an attempt joins; null for none. */
export function networkOf({ scope }: AttemptRef, { network }: AttemptSpec): ScopeNetwork | null {
  if (network === "none") return null;
  return { scope, allow: network === "run" ? null : network.allow };
}

/**
 * One network namespace per scope, made once and joined by all its attempts: making one is more than half of what a
 * container's start costs. A container that does nothing holds it open; it is found again by its name. Before that it
 * fences the namespace: other runs and metadata addresses are out of reach (see ../../shim/shim.ts).
 */
export class ScopeNetworks {
  readonly #engine: Engine;
  readonly #installation: string;
  readonly #image: () => Promise<string>;
  readonly #usernsMode: "" | "host";
  /** Holders that were seen running, by their names; the engine's events take the dead ones out. */
  readonly #running = new Map<string, string>();
  readonly #making = new SingleFlight<string>();

  constructor(engine: Engine, options: ScopeNetworksOptions) {
    this.#engine = engine;
    this.#installation = options.installation;
    this.#image = options.image;
    this.#usernsMode = options.usernsMode;
  }

  /** The id of the running holder of a scope's network, made if need be. */
  async ensure(network: ScopeNetwork): Promise<string> {
    const name = this.#nameOf(network);
    return this.#running.get(name) ?? this.#making.run(name, () => this.#findOrMake(name, network));
  }

  /** Whether this holder is, as far as is known, the running one. */
  isCurrent(network: ScopeNetwork, holder: string): boolean {
    return this.#running.get(this.#nameOf(network)) === holder;
  }

  /** Nothing is believed any more about the holder with this name. */
  forget(name: string): void {
    this.#running.delete(name);
  }

  /** The same about that of a network. */
  forgetHolderOf(network: ScopeNetwork): void {
    this.forget(this.#nameOf(network));
  }

  forgetAll(): void {
    this.#running.clear();
  }

  /** All networks of a scope. */
  async remove(scope: string): Promise<void> {
    const labels = Object.entries(networkLabels(this.#installation, scope)).map((label) => label.join("="));
    const holders = new Set([this.#nameOf({ scope, allow: null })]);
    for (const { Names } of await this.#engine.listContainers(labels)) holders.add(Names[0]!.slice(1));
    for (const name of holders) await this.#removeHolder(name, scope);
  }

  async #removeHolder(name: string, scope: string): Promise<void> {
    this.#running.delete(name);
    const holder = await this.#inspect(name);
    if (holder === null) return;
    this.#refuseForeign(holder, scope);
    try {
      await this.#engine.removeContainer(name);
    } catch (error) {
      // Gone, or being removed by someone else at this moment.
      if (!isStatus(error, 404, 409)) throw error;
    }
  }

  async #findOrMake(name: string, network: ScopeNetwork): Promise<string> {
    const id = (await this.#find(name, network.scope)) ?? (await this.#create(name, network));
    // A holder that died is started again, with a new namespace and the id that waiting containers know.
    await this.#engine.startContainer(id);
    this.#running.set(name, id);
    return id;
  }

  async #find(name: string, scope: string): Promise<string | null> {
    const holder = await this.#inspect(name);
    if (holder !== null) this.#refuseForeign(holder, scope);
    return holder?.Id ?? null;
  }

  async #create(name: string, { scope, allow }: ScopeNetwork): Promise<string> {
    const { rules, hosts } = allow === null ? { rules: [], hosts: [] } : await resolveEgress(allow);
    const config = ownContainerConfig({
      image: await this.#image(),
      args: ["--hold", ...rules],
      hosts,
      labels: networkLabels(this.#installation, scope),
      user: HOLDER_USER,
      capabilities: HOLDER_CAPABILITIES,
      networkMode: "bridge",
      // A namespace can be joined only from the same user namespace.
      usernsMode: this.#usernsMode,
      mounts: [],
      autoRemove: false,
    });
    const deadline = performance.now() + RIVAL_TIMEOUT_MS;
    for (;;) {
      try {
        return (await this.#engine.createContainer(name, config)).Id;
      } catch (error) {
        if (!isStatus(error, 409) || performance.now() > deadline) throw error;
      }
      // Another process was quicker. The engine reserves a name before the container behind it can be seen.
      const rival = await this.#find(name, scope);
      if (rival !== null) return rival;
      await sleep(RIVAL_INTERVAL_MS);
    }
  }

  async #inspect(name: string): Promise<InspectedContainer | null> {
    try {
      return await this.#engine.inspectContainer(name);
    } catch (error) {
      if (isStatus(error, 404)) return null;
      throw error;
    }
  }

  #refuseForeign(holder: InspectedContainer, scope: string): void {
    if (isOwnNetwork(holder.Config.Labels, this.#installation, scope)) return;
    throw new EngineError(409, `the container ${holder.Id} has the name of a network holder, but not its labels`);
  }

  #nameOf({ scope, allow }: ScopeNetwork): string {
    return scopeName(this.#installation, allow === null ? scope : JSON.stringify([scope, ...allow]));
  }
}
