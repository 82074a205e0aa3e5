import type { AttemptSpec } from "../execution-backend.ts";

/** What an engine says of itself that isolation depends on. */
export interface EngineIsolation {
  /** Names of its runtimes. */
  readonly runtimes: readonly string[];
  /** `name=apparmor`, `name=selinux`, … */
  readonly securityOptions: readonly string[];
}

/** Runtimes whose containers use the kernel's network, whose routes and policies fence them. */
const KERNEL_RUNTIMES: readonly string[] = ["runc", "crun"];

/** What an attempt asks for beyond the defaults, for the container's `HostConfig`. */
export function isolationOptions({ isolation = {} }: AttemptSpec): object {
  const { readOnlyRoot, apparmor, selinux, runtime } = isolation;
  return {
    SecurityOpt: [
      "no-new-privileges",
      ...(apparmor === undefined ? [] : [`apparmor=${apparmor}`]),
      ...(selinux === undefined ? [] : [`label=type:${selinux}`]),
    ],
    ...(readOnlyRoot === true ? { ReadonlyRootfs: true } : {}),
    ...(runtime === undefined ? {} : { Runtime: runtime }),
  };
}

/**
 * What of it the engine cannot do. It would take a profile that it has no use for without a word, and the step would
 * run without; null stands for an engine that has not answered yet.
 */
export function isolationProblems(
  { isolation = {}, network }: AttemptSpec,
  engine: EngineIsolation | null,
): { path: string; why: string }[] {
  const { apparmor, selinux, runtime } = isolation;
  const has = (name: string) => engine === null || engine.securityOptions.some((option) => isNamed(option, name));
  const checks: readonly [refused: boolean, path: string, why: string][] = [
    [apparmor === "unconfined", "apparmor", "unconfined is no profile: it switches AppArmor off"],
    [apparmor !== undefined && !has("apparmor"), "apparmor", "this host's engine does not use AppArmor"],
    [selinux !== undefined && !has("selinux"), "selinux", "this host's engine does not use SELinux"],
    [
      runtime !== undefined && engine !== null && !engine.runtimes.includes(runtime),
      "runtime",
      `this host's engine has no runtime ${runtime} (it has: ${engine?.runtimes.join(", ")})`,
    ],
    [
      runtime !== undefined && !KERNEL_RUNTIMES.includes(runtime) && network !== "none",
      "runtime",
      `the runtime ${runtime} may have a network of its own, which is not fenced: ask for no network`,
    ],
  ];
  return checks.filter(([refused]) => refused).map(([, key, why]) => ({ path: `isolation.${key}`, why }));
}

function isNamed(option: string, name: string): boolean {
  return option.split(",").includes(`name=${name}`);
}
