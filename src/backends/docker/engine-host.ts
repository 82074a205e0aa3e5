import type { BackendOptions, Probe } from "../execution-backend.ts";
import { type Builder, builderOf } from "./build-image.ts";
import type { Engine } from "./engine.ts";
import { EngineUnreachableError } from "./engine-error.ts";
import { whyNotThisHost } from "./host-check.ts";
import { ImageNotes } from "./image-notes.ts";
import { Images } from "./images.ts";
import { DOCKER_CAPABILITIES, type EngineLimits } from "./plan.ts";
import { connect, hostLimits, type Platform } from "./platform.ts";
import { ScopeNetworks } from "./scope-networks.ts";
import { ensureShimImage } from "./shim-image.ts";

/** An engine that takes longer to say that it is there is not healthy. */
const PING_TIMEOUT_MS = 5_000;

export interface EngineHostOptions {
  readonly installation: string;
  readonly stateFolder: string;
  readonly engine: Engine;
  readonly address: string;
  readonly capacity?: BackendOptions["capacity"];
  /** Default: BuildKit, where the engine has it. */
  readonly builder?: Builder | undefined;
}

/** What is made once per session, when the engine first answers: an agent may be up before its engine. */
export class EngineHost {
  readonly imageNotes: ImageNotes;
  readonly #options: EngineHostOptions;
  #platform: Promise<Platform> | null = null;
  #connected: Platform | null = null;
  #images: Images | null = null;
  #networks: ScopeNetworks | null = null;
  #shimImage: Promise<string> | null = null;
  #isThisHost = false;

  constructor(options: EngineHostOptions) {
    this.#options = options;
    this.imageNotes = new ImageNotes(options.stateFolder);
  }

  platform(): Promise<Platform> {
    this.#platform ??= connect(this.#options).then(
      (platform) => {
        this.#connected = platform;
        return platform;
      },
      (error) => {
        this.#platform = null;
        throw error;
      },
    );
    return this.#platform;
  }

  async images(): Promise<Images> {
    const { engine, version } = await this.platform();
    const { builder = builderOf(version) } = this.#options;
    this.#images ??= new Images(engine, { arch: version.Arch, builder, notes: this.imageNotes });
    return this.#images;
  }

  async networks(): Promise<ScopeNetworks> {
    const { engine, user } = await this.platform();
    const { installation } = this.#options;
    const image = () => this.#ensureShimImage();
    this.#networks ??= new ScopeNetworks(engine, { installation, image, usernsMode: user.usernsMode });
    return this.#networks;
  }

  /** What this host has to give; null until the engine answered once. */
  limits(): EngineLimits | null {
    return this.#connected === null ? null : hostLimits(this.#connected);
  }

  async probe(signal?: AbortSignal): Promise<Probe> {
    const { engine, address } = this.#options;
    try {
      await engine.ping(PING_TIMEOUT_MS, signal);
      const platform = await this.platform();
      const reason = this.#isThisHost ? null : await this.#checkHost(platform);
      const { builder = builderOf(platform.version) } = this.#options;
      const facts = factsOf(platform, { address, builder });
      if (reason !== null) return { healthy: false, reason, capabilities: DOCKER_CAPABILITIES, facts };
      this.#isThisHost = true;
      return { healthy: true, capabilities: DOCKER_CAPABILITIES, facts };
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      return {
        healthy: false,
        reason: unhealthy(error, address),
        capabilities: DOCKER_CAPABILITIES,
        facts: { address },
      };
    }
  }

  async #checkHost({ engine, user }: Platform): Promise<string | null> {
    const { installation, stateFolder } = this.#options;
    const image = await this.#ensureShimImage();
    return whyNotThisHost(engine, { installation, stateFolder, image, user });
  }

  async #ensureShimImage(): Promise<string> {
    const { engine, shim } = await this.platform();
    this.#shimImage ??= ensureShimImage(engine, shim).catch((error) => {
      this.#shimImage = null;
      throw error;
    });
    return this.#shimImage;
  }
}

function factsOf(
  { version, info, user }: Platform,
  own: { readonly address: string; readonly builder: Builder },
): Record<string, string | number | boolean> {
  return {
    ...own,
    version: version.Version,
    api: version.ApiVersion,
    arch: version.Arch,
    system: info.OperatingSystem,
    cgroup: info.CgroupVersion ?? "1",
    storage: info.Driver,
    cpus: info.NCPU,
    memoryBytes: info.MemTotal,
    user: user.user,
  };
}

function unhealthy(error: unknown, address: string): string {
  const words = (error as Error).message;
  if (!(error instanceof EngineUnreachableError)) return `Docker Engine at ${address}: ${words}`;
  if (words.includes("EACCES")) {
    return `The agent may not use Docker Engine at ${address}: add its user to the group docker, or use a rootless engine. (${words})`;
  }
  return `Docker Engine does not answer: start it, or set DOCKER_HOST. (${words})`;
}
