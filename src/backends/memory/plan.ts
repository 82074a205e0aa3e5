import type { AttemptSpec, Capabilities, PlanResult } from "../execution-backend.ts";

/** Refuses what the capabilities, which a test may narrow, do not offer. */
export function planForMemory(spec: AttemptSpec, capabilities: Capabilities): PlanResult {
  const { limits, network } = capabilities;
  const mode = typeof spec.network === "string" ? spec.network : "allow";
  const { readOnlyRoot, apparmor, selinux, runtime } = spec.isolation ?? {};
  const checks = [
    {
      refused: readOnlyRoot === true && !capabilities.readOnlyRoot,
      path: "isolation.readOnlyRoot",
      why: "there is no root file system",
    },
    ...Object.entries({ apparmor, selinux, runtime }).map(([key, value]) => ({
      refused: value !== undefined && !capabilities.profiles,
      path: `isolation.${key}`,
      why: "there are no profiles and runtimes",
    })),
    { refused: spec.gpus !== undefined && !capabilities.gpus, path: "gpus", why: "there are no GPUs" },
    { refused: spec.image !== null && !capabilities.images, path: "image", why: "there are no images" },
    { refused: spec.image === null && capabilities.images, path: "image", why: "an image is required" },
    { refused: !network[mode], path: "network", why: `there is no network mode ${mode}` },
    { refused: spec.limits.cpus !== null && !limits.cpu, path: "limits.cpus", why: "cores cannot be limited" },
    {
      refused: spec.limits.memoryBytes !== null && !limits.memory,
      path: "limits.memoryBytes",
      why: "memory cannot be limited",
    },
  ];
  const unsupported = checks.filter(({ refused }) => refused).map(({ path, why }) => ({ path, why }));
  return unsupported.length > 0 ? { ok: false, unsupported } : { ok: true, warnings: [] };
}
