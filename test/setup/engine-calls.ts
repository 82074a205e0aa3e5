import type { EngineCall } from "./engine-recorder.ts";

/** Every call that Berth has a use for; anything else is a defect, or somebody else's work. */
const ALLOWED = [
  "GET /_ping",
  "HEAD /_ping",
  "GET /version",
  "GET /info",
  "GET /events",
  "POST /containers/create",
  "GET /containers/json",
  "GET /containers/*/json",
  "GET /containers/*/stats",
  "POST /containers/*/start",
  "POST /containers/*/wait",
  "POST /containers/*/kill",
  "POST /containers/*/attach",
  "POST /containers/*/resize",
  "DELETE /containers/*",
  "GET /images/json",
  "GET /images/**/json",
  "POST /images/create",
  "DELETE /images/**",
  "POST /build",
  "POST /session",
  "POST /build/prune",
  "GET /system/df",
  "GET /networks",
  "GET /networks/*",
  "POST /networks/create",
  "DELETE /networks/*",
].map(pattern);

function pattern(line: string): RegExp {
  const escaped = line.replace(/[.[\]()+?^$|\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("**", "\u0000").replaceAll("*", "[^/]+").replaceAll("\u0000", ".+")}$`);
}

/** What of these calls no agent may make: unknown ones, and containers with more than a step may have. */
export function forbiddenCalls(calls: readonly EngineCall[]): string[] {
  return calls.flatMap((call) => {
    const line = `${call.method} ${call.path}`;
    if (!ALLOWED.some((allowed) => allowed.test(line))) return [`${line}: not a call of Berth`];
    if (call.path !== "/containers/create") return [];
    return excesses(call.body as ContainerBody).map((what) => `${line}: ${what}`);
  });
}

interface ContainerBody {
  readonly Cmd?: readonly string[];
  readonly Tty?: boolean;
  readonly User?: string;
  readonly HostConfig: {
    readonly Privileged?: boolean;
    readonly CapAdd?: readonly string[] | null;
    readonly CapDrop?: readonly string[] | null;
    readonly SecurityOpt?: readonly string[] | null;
    readonly PidMode?: string;
    readonly IpcMode?: string;
    readonly UTSMode?: string;
    readonly CgroupnsMode?: string;
    readonly NetworkMode?: string;
    readonly Devices?: readonly unknown[] | null;
    readonly Binds?: readonly string[] | null;
    readonly VolumesFrom?: readonly string[] | null;
    readonly Mounts?: readonly { readonly Type: string; readonly Source?: string; readonly ReadOnly?: boolean }[];
    readonly PidsLimit?: number;
    readonly Memory?: number;
    readonly MemorySwap?: number;
    readonly LogConfig?: { readonly Type: string };
  };
}

/** Folders of the host that nothing which runs in a container has to do with. */
const HOST_FOLDERS = /^\/(|etc|proc|sys|dev|root|boot|var\/run(\/.*)?|run(\/docker.*)?|var\/lib\/docker(\/.*)?)$/;

/** Of the container that fences a run's network and then gives them up; no code but Berth's runs in it. */
const HOLDER_CAPABILITIES = ["NET_ADMIN", "SETUID", "SETGID"];

function excesses({ Cmd, HostConfig: host }: ContainerBody): string[] {
  const found: string[] = [];
  const check = (isGood: boolean, what: string) => {
    if (!isGood) found.push(what);
  };
  check(host.Privileged !== true, "is privileged");
  const isHolder = Cmd?.[0] === "--hold";
  const extra = (host.CapAdd ?? []).filter((name) => !(isHolder && HOLDER_CAPABILITIES.includes(name)));
  check(extra.length === 0, `has the capabilities ${extra.join(", ")}`);
  check(host.CapDrop?.includes("ALL") === true, "keeps capabilities");
  check(host.SecurityOpt?.some((option) => /^no-new-privileges(:true)?$/.test(option)) === true, "may gain privileges");
  check(host.SecurityOpt?.some((option) => option.endsWith("unconfined")) !== true, "is unconfined");
  check(host.PidMode === undefined || host.PidMode === "", `has the process namespace ${host.PidMode}`);
  check(host.UTSMode === undefined || host.UTSMode === "", `has the host name namespace ${host.UTSMode}`);
  check(host.IpcMode === "private" || host.IpcMode === "none", `has the memory namespace ${host.IpcMode}`);
  check(host.CgroupnsMode !== "host", "sees the groups of the host");
  check(host.NetworkMode !== "host", "has the network of the host");
  check((host.Devices ?? []).length === 0, "has devices of the host");
  check((host.Binds ?? []).length === 0, "binds folders that the engine would make");
  check((host.VolumesFrom ?? []).length === 0, "has volumes of others");
  check((host.PidsLimit ?? 0) > 0, "has no limit of processes");
  check(host.Memory === undefined || host.Memory === host.MemorySwap, "may swap");
  for (const { Type, Source } of host.Mounts ?? []) {
    check(Type === "bind" || Type === "tmpfs", `mounts a ${Type}`);
    check(Source === undefined || !HOST_FOLDERS.test(Source), `mounts ${Source}`);
  }
  return found;
}
