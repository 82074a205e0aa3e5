import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { shimPath } from "../../shim/shim-path.ts";
import type { BackendOptions } from "../execution-backend.ts";
import { type ContainerUser, containerUser } from "./container-user.ts";
import type { Engine } from "./engine.ts";
import type { EngineInfo, EngineVersion } from "./engine-types.ts";
import { type IoSupport, ioSupport } from "./io-limits.ts";
import type { EngineLimits } from "./plan.ts";

/** What is known of the engine once it answered. */
export interface Platform {
  readonly engine: Engine;
  readonly version: EngineVersion;
  readonly info: EngineInfo;
  readonly user: ContainerUser;
  /** Host path of the shim for the engine's architecture. */
  readonly shim: string;
  readonly io: IoSupport;
  /** What all steps together may use; undefined for all that the host has. */
  readonly capacity: BackendOptions["capacity"];
}

/** What this host has to give. */
export function hostLimits({ info, io }: Platform): EngineLimits {
  const { NCPU: cpus, MemTotal: memoryBytes, Runtimes = {}, SecurityOptions } = info;
  return { cpus, memoryBytes, io, runtimes: Object.keys(Runtimes), securityOptions: SecurityOptions ?? [] };
}

export interface StepDefaults {
  readonly cpus: number;
  readonly memoryBytes: number;
}

/** Of the host's memory, what a step may use that names no limit: the rest is for the engine and the agent. */
const MEMORY_SHARE_MAX = 0.9;

/** What a step may use that names no limit: all that the agent was given to share out, as far as the host has it. */
export function stepDefaults({ info, capacity }: Platform): StepDefaults {
  const memoryBytes = Math.floor(info.MemTotal * MEMORY_SHARE_MAX);
  return {
    cpus: Math.min(info.NCPU, capacity?.cpus ?? info.NCPU),
    memoryBytes: Math.min(memoryBytes, capacity?.memoryBytes ?? memoryBytes),
  };
}

const NODE_ARCH: Readonly<Record<string, string>> = { amd64: "x64", arm64: "arm64" };

export interface ConnectOptions extends Pick<BackendOptions, "stateFolder" | "capacity"> {
  readonly engine: Engine;
}

export async function connect({ engine, stateFolder, capacity }: ConnectOptions): Promise<Platform> {
  const version = await engine.negotiate();
  const info = await engine.info();
  if (info.OSType !== "linux") throw new Error(`The engine runs ${info.OSType} containers; Berth needs Linux ones.`);
  const shim = keepShim(shimPath(NODE_ARCH[version.Arch] ?? version.Arch), stateFolder);
  const user = containerUser(info, process.getuid!(), process.getgid!());
  return { engine, version, info, user, shim, capacity, io: ioSupport(info, stateFolder) };
}

/**
 * A copy of the shim under a name of its content: containers that were made ahead still start after Berth was updated
 * or moved, and an update never writes to a program that is running.
 */
function keepShim(source: string, stateFolder: string): string {
  const digest = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 12);
  const kept = join(stateFolder, `shim-${digest}`);
  if (!existsSync(kept)) {
    mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
    const draft = `${kept}.${process.pid}`;
    copyFileSync(source, draft);
    chmodSync(draft, 0o755);
    renameSync(draft, kept);
  }
  return kept;
}
