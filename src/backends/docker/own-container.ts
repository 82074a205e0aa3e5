import { SHIM_IN_IMAGE } from "./shim-image.ts";

/** Far more than the shim needs; the engine's smallest. */
const MEMORY_BYTES = 16 * 1024 * 1024;
const PIDS = 8;

export interface OwnContainer {
  readonly image: string;
  /** Arguments of the shim. */
  readonly args: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly user: string;
  /** Rights that the shim needs at its start, and gives up before it does anything else. */
  readonly capabilities?: readonly string[];
  /** `name:address`, for whoever joins its network. */
  readonly hosts?: readonly string[];
  readonly networkMode: "bridge" | "none";
  readonly usernsMode: "" | "host";
  readonly mounts: readonly object[];
  /** Whether the engine removes it when it ended. */
  readonly autoRemove: boolean;
}

/** The body of `POST /containers/create` for a container in which only the shim runs. */
export function ownContainerConfig({
  image,
  args,
  labels,
  user,
  capabilities = [],
  hosts = [],
  networkMode,
  usernsMode,
  mounts,
  autoRemove,
}: OwnContainer): object {
  return {
    Image: image,
    Entrypoint: [SHIM_IN_IMAGE],
    Cmd: args,
    User: user,
    Labels: labels,
    StopSignal: "SIGTERM",
    HostConfig: {
      CapDrop: ["ALL"],
      ...(capabilities.length === 0 ? {} : { CapAdd: capabilities }),
      SecurityOpt: ["no-new-privileges"],
      ReadonlyRootfs: true,
      IpcMode: "private",
      Memory: MEMORY_BYTES,
      MemorySwap: MEMORY_BYTES,
      PidsLimit: PIDS,
      LogConfig: { Type: "none" },
      RestartPolicy: { Name: "no" },
      AutoRemove: autoRemove,
      ...(hosts.length === 0 ? {} : { ExtraHosts: hosts }),
      NetworkMode: networkMode,
      UsernsMode: usernsMode,
      Mounts: mounts,
    },
  };
}
