/* What Berth reads of the Engine API's answers, in the API's own names. */

export interface EngineVersion {
  readonly Version: string;
  readonly ApiVersion: string;
  readonly MinAPIVersion?: string;
  readonly Os: string;
  /** In Go's names: `amd64`, `arm64`. */
  readonly Arch: string;
  /** Of what the engine is made: `Engine` is Docker's own. */
  readonly Components?: readonly { readonly Name: string }[];
}

export interface EngineInfo {
  readonly ID: string;
  readonly Driver: string;
  readonly DockerRootDir: string;
  readonly CgroupVersion?: string;
  readonly CgroupDriver: string;
  readonly OperatingSystem: string;
  readonly OSType: string;
  readonly NCPU: number;
  readonly MemTotal: number;
  readonly SecurityOptions?: readonly string[] | null;
  /** By name. */
  readonly Runtimes?: Readonly<Record<string, unknown>>;
  readonly MemoryLimit: boolean;
  readonly SwapLimit: boolean;
  readonly PidsLimit: boolean;
  readonly CpuCfsQuota: boolean;
}

/** What Berth reads of a container's statistics: cgroup version 1 tells more of it than version 2. */
export interface EngineStats {
  readonly cpu_stats: {
    /** In nanoseconds. */
    readonly cpu_usage: { readonly total_usage: number };
  };
  readonly memory_stats: { readonly usage?: number; readonly max_usage?: number };
  readonly pids_stats: { readonly current?: number };
  readonly blkio_stats: {
    readonly io_service_bytes_recursive?: readonly { readonly op: string; readonly value: number }[] | null;
  };
}

export interface CreatedContainer {
  readonly Id: string;
  /** What of the configuration the engine left out. */
  readonly Warnings?: readonly string[] | null;
}

/** What Berth reads of an inspected container. */
export interface InspectedContainer {
  readonly Id: string;
  readonly Created: string;
  readonly State: {
    readonly Status: ContainerState;
    readonly OOMKilled: boolean;
    readonly Pid: number;
    readonly ExitCode: number;
    readonly Error: string;
    /** The zero time of Go when it never was. */
    readonly StartedAt: string;
  };
  readonly Config: { readonly Labels: Readonly<Record<string, string>> };
  readonly HostConfig: { readonly NetworkMode: string };
  /** Where the engine keeps the container's files; `UpperDir` of overlayfs holds what it changed. */
  readonly GraphDriver?: { readonly Data?: Readonly<Record<string, string>> | null };
  /** Bytes of what it changed, where that was asked for. */
  readonly SizeRw?: number;
}

export type ContainerState = "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";

export interface ListedContainer {
  readonly Id: string;
  /** With a leading slash. */
  readonly Names: readonly string[];
  readonly State: ContainerState;
  /** Seconds since 1970. */
  readonly Created: number;
  readonly Labels: Readonly<Record<string, string>>;
  /** The id of its image. */
  readonly ImageID: string;
}

export interface ListedImage {
  readonly Id: string;
  /** What the classic builder made it from; empty for what came from a registry or BuildKit. */
  readonly ParentId: string;
  readonly RepoTags?: readonly string[] | null;
  readonly RepoDigests?: readonly string[] | null;
  /** In bytes, with the layers that it shares with others. */
  readonly Size: number;
}

export interface InspectedImage {
  readonly Id: string;
  readonly RepoTags?: readonly string[] | null;
  readonly RepoDigests?: readonly string[] | null;
  readonly Created: string;
  readonly Architecture: string;
  readonly Os: string;
}
