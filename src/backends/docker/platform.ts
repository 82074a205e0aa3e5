import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { shimPath } from "../../shim/shim-path.ts";
import { type ContainerUser, containerUser } from "./container-user.ts";
import type { Engine } from "./engine.ts";
import type { EngineInfo, EngineVersion } from "./engine-types.ts";

/** What is known of the engine once it answered. */
export interface Platform {
  readonly engine: Engine;
  readonly version: EngineVersion;
  readonly info: EngineInfo;
  readonly user: ContainerUser;
  /** Host path of the shim for the engine's architecture. */
  readonly shim: string;
}

/** What this host has to give. */
export function hostLimits({ info }: Platform): { readonly cpus: number; readonly memoryBytes: number } {
  return { cpus: info.NCPU, memoryBytes: info.MemTotal };
}

const NODE_ARCH: Readonly<Record<string, string>> = { amd64: "x64", arm64: "arm64" };

export async function connect(engine: Engine, stateFolder: string, signal?: AbortSignal): Promise<Platform> {
  const version = await engine.negotiate(signal);
  const info = await engine.info(signal);
  if (info.OSType !== "linux") throw new Error(`The engine runs ${info.OSType} containers; Berth needs Linux ones.`);
  const shim = keepShim(shimPath(NODE_ARCH[version.Arch] ?? version.Arch), stateFolder);
  return { engine, version, info, user: containerUser(info, process.getuid!(), process.getgid!()), shim };
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
