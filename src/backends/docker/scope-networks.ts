import { setTimeout as sleep } from "node:timers/promises";
import { SingleFlight } from "../../std/single-flight.ts";
import { scopeName } from "../object-name.ts";
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
  /** Holders that were seen running, by scope; the engine's events take the dead ones out. */
  readonly #running = new Map<string, string>();
  readonly #making = new SingleFlight<string>();

  constructor(engine: Engine, options: ScopeNetworksOptions) {
    this.#engine = engine;
    this.#installation = options.installation;
    this.#image = options.image;
    this.#usernsMode = options.usernsMode;
  }

  /** The id of the scope's running holder, made if need be. */
  async ensure(scope: string): Promise<string> {
    return this.#running.get(scope) ?? this.#making.run(scope, () => this.#findOrMake(scope));
  }

  /** Whether this holder is, as far as is known, the running one. */
  isCurrent(scope: string, holder: string): boolean {
    return this.#running.get(scope) === holder;
  }

  /** Nothing is believed any more about the holder with this name or of this scope. */
  forget(scopeOrName: string): void {
    for (const scope of this.#running.keys()) {
      if (scope === scopeOrName || this.#nameOf(scope) === scopeOrName) this.#running.delete(scope);
    }
  }

  forgetAll(): void {
    this.#running.clear();
  }

  async remove(scope: string): Promise<void> {
    this.#running.delete(scope);
    const name = this.#nameOf(scope);
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

  async #findOrMake(scope: string): Promise<string> {
    const name = this.#nameOf(scope);
    const id = (await this.#find(name, scope)) ?? (await this.#create(name, scope));
    // A holder that died is started again, with a new namespace and the id that waiting containers know.
    await this.#engine.startContainer(id);
    this.#running.set(scope, id);
    return id;
  }

  async #find(name: string, scope: string): Promise<string | null> {
    const holder = await this.#inspect(name);
    if (holder !== null) this.#refuseForeign(holder, scope);
    return holder?.Id ?? null;
  }

  async #create(name: string, scope: string): Promise<string> {
    const config = ownContainerConfig({
      image: await this.#image(),
      args: ["--hold"],
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

  #nameOf(scope: string): string {
    return scopeName(this.#installation, scope);
  }
}
