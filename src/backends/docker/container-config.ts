import { type AttemptSpec, SECRET_LAYOUT, type SpecSecrets } from "../execution-backend.ts";
import { ioLimits } from "./io-limits.ts";
import { isolationOptions } from "./isolation-options.ts";
import type { StepDefaults } from "./platform.ts";

export interface ContainerOptions {
  readonly labels: Readonly<Record<string, string>>;
  /** Host path of the shim's program. */
  readonly shim: string;
  /** `uid:gid` inside the container. */
  readonly user: string;
  /** `none`, or `container:<id>` of the scope's holder. */
  readonly networkMode: string;
  readonly usernsMode: "" | "host";
  readonly gpuAccess: GpuAccess;
  /** The limits of a step that names none. */
  readonly defaults: StepDefaults;
  /** The disks on which its limits of transfers hold; left out for none. */
  readonly disks?: readonly string[];
}

/**
 * How a container gets its GPUs. `devices` asks the engine for them, for which it needs NVIDIA's container toolkit;
 * `variables` only names them in NVIDIA_VISIBLE_DEVICES, which NVIDIA's runtime goes by where it is the engine's default.
 */
export type GpuAccess = "devices" | "variables";

/** Where the shim and its control folder are mounted: out of the way of anything that an image holds. */
const SHIM_INSIDE = "/.berth/shim";
const CONTROL_INSIDE = "/.berth/ctl";
/** Where the shim finds the secrets that are variables: nothing that the engine keeps holds them. */
const VARIABLES_INSIDE = "/.berth/env";
const SECRETS_INSIDE = "/berth/secrets";

/** Steps are killed before the engine, the agent and everything else of the host when memory runs out. */
const OOM_SCORE_ADJUSTMENT = 500;

/** Of a step's memory, which it counts as, what may lie in `/tmp`: as much as the kernel gives such a folder by itself. */
const TMP_SHARE = 0.5;

/** The body of `POST /containers/create` for one attempt. Pure. */
export function containerConfig(spec: AttemptSpec, options: ContainerOptions): object {
  return {
    Image: spec.image,
    // The image's own entry point and command play no part: arguments are exact.
    Entrypoint: shimEntry(spec, options.networkMode, CONTROL_INSIDE),
    Cmd: spec.argv,
    Env: Object.entries({ ...stepEnvironment(), ...spec.env, ...stepFolders(spec), ...gpuVariables(spec) }).map(
      ([name, value]) => `${name}=${value}`,
    ),
    User: options.user,
    ...(spec.workingFolder === null ? {} : { WorkingDir: spec.workingFolder }),
    Labels: { ...spec.labels, ...options.labels },
    // The image may name another signal, which a stop from outside would then send.
    StopSignal: "SIGTERM",
    Healthcheck: { Test: ["NONE"] },
    HostConfig: {
      ...hardening(),
      ...isolationOptions(spec),
      ...limits(spec, options),
      ...ioLimits(spec, options.disks ?? []),
      ...gpuDevices(spec, options),
      NetworkMode: options.networkMode,
      UsernsMode: options.usernsMode,
      Mounts: mounts(spec, options.shim),
    },
  };
}

/** What the step may replace. */
function stepEnvironment(): Record<string, string> {
  return { HOME: "/berth/tmp", TMPDIR: "/berth/tmp" };
}

function stepFolders({ secrets }: AttemptSpec): Record<string, string> {
  const folders = { BERTH_DIR: "/berth", BERTH_IN: "/berth/in", BERTH_OUT: "/berth/out" };
  return secrets === undefined ? folders : { ...folders, BERTH_SECRETS: SECRETS_INSIDE };
}

/** What stands before the step's own arguments. `run` is the control folder, or `--exec`: see shim.ts. */
export function shimEntry({ secrets }: AttemptSpec, networkMode: string, run: string): string[] {
  return [
    SHIM_INSIDE,
    ...(networkMode === "none" ? [] : ["--fenced"]),
    ...(secrets?.variables === true ? ["--variables", `${VARIABLES_INSIDE}/variables`] : []),
    ...[run, "--"],
  ];
}

/** Said of none, too: an image may ask for all, and a GPU is one step's alone. */
function gpuVariables({ gpus = [] }: AttemptSpec): Record<string, string> {
  return { NVIDIA_VISIBLE_DEVICES: gpus.length === 0 ? "void" : gpus.join(",") };
}

function gpuDevices({ gpus = [] }: AttemptSpec, { gpuAccess }: ContainerOptions): object {
  if (gpus.length === 0 || gpuAccess === "variables") return {};
  return { DeviceRequests: [{ Driver: "", Count: 0, DeviceIDs: gpus, Capabilities: [["gpu"]], Options: {} }] };
}

function hardening(): object {
  return {
    CapDrop: ["ALL"],
    IpcMode: "private",
    Init: false,
    OomScoreAdj: OOM_SCORE_ADJUSTMENT,
    // The shim writes the logs to files: no driver, no engine in between, nothing lost when either dies.
    LogConfig: { Type: "none" },
    RestartPolicy: { Name: "no" },
  };
}

function limits({ limits: { cpus, memoryBytes, pids } }: AttemptSpec, { defaults }: ContainerOptions): object {
  const memory = memoryBytes ?? defaults.memoryBytes;
  return {
    // One more for the shim, which is not the step's.
    PidsLimit: pids + 1,
    NanoCpus: Math.round((cpus ?? defaults.cpus) * 1e9),
    // Memory and swap together: a step that exceeds its limit is killed instead of grinding the host's disk.
    ...{ Memory: memory, MemorySwap: memory },
    // A core dump would hold the step's secrets.
    Ulimits: [{ Name: "core", Soft: 0, Hard: 0 }],
    Tmpfs: { "/tmp": `rw,exec,nosuid,nodev,mode=1777,size=${Math.floor(memory * TMP_SHARE)}` },
  };
}

/** As `Mounts`, not `Binds`: a path that does not exist on the engine's host is an error, not a new empty folder. */
function mounts({ folder, secrets, mounts: extra }: AttemptSpec, shim: string): object[] {
  return [
    bind(shim, SHIM_INSIDE, true),
    bind(`${folder}/ctl`, CONTROL_INSIDE, false),
    bind(folder, "/berth", false),
    bind(`${folder}/in`, "/berth/in", true),
    // Covers the control folder where the step would stumble over it; being a mount point, it cannot be replaced by a
    // link either, which the agent would follow.
    { Type: "tmpfs", Target: "/berth/ctl", ReadOnly: true, TmpfsOptions: { SizeBytes: 4096, Mode: 0o555 } },
    ...(secrets === undefined ? [] : secretMounts(secrets)),
    ...extra.map(({ host, inside }) => bind(host, inside, true)),
  ];
}

function secretMounts({ folder, variables }: SpecSecrets): object[] {
  const files = bind(`${folder}/${SECRET_LAYOUT.files}`, SECRETS_INSIDE, true);
  return variables ? [files, bind(`${folder}/${SECRET_LAYOUT.env}`, VARIABLES_INSIDE, true)] : [files];
}

function bind(source: string, target: string, readOnly: boolean): object {
  return { Type: "bind", Source: source, Target: target, ReadOnly: readOnly };
}
