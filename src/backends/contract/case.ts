import type { AttemptSpec, Capabilities } from "../execution-backend.ts";
import type { BackendHarness } from "./harness.ts";
import type { Rig } from "./rig.ts";

export interface ContractGroup {
  readonly title: string;
  readonly cases: readonly ContractCase[];
}

/** One promise of execution-backend.ts. */
export interface ContractCase {
  /** A sentence about behaviour. */
  readonly title: string;
  readonly needs?: readonly Need[];
  run(rig: Rig): Promise<void>;
}

/** What a case requires of a backend; where it is not met the case is skipped with the reason. */
export interface Need {
  met(capabilities: Capabilities, harness: BackendHarness): boolean;
  /** Why the case is skipped. */
  readonly why: string;
  /** What such a backend must refuse when it is asked for it all the same; absent where nothing can be asked for. */
  readonly refuses?: { readonly path: string; readonly change: (spec: AttemptSpec) => AttemptSpec };
}

export const NEEDS = {
  programs: {
    met: (_, harness) => harness.fakeCommand === null,
    why: "a fake runs no programs",
  },
  otherProcesses: {
    met: (_, harness) => harness.elsewhere !== null,
    why: "the platform lives in the test's own process",
  },
  images: {
    met: ({ images }) => images,
    why: "steps run without images",
    refuses: { path: "image", change: (spec) => ({ ...spec, image: "berth-contract-no-such-image" }) },
  },
  build: { met: ({ build }) => build, why: "images cannot be built" },
  prepareAhead: { met: ({ prepareAhead }) => prepareAhead, why: "prepare creates nothing ahead" },
  killsTree: { met: ({ cancel }) => cancel === "tree", why: "cancelling only fences" },
  noNetwork: {
    met: ({ network }) => network.none,
    why: "a step cannot be cut off the network",
    refuses: { path: "network", change: (spec) => ({ ...spec, network: "none" }) },
  },
  runNetwork: {
    met: ({ network }) => network.run,
    why: "a step cannot have a network",
    refuses: { path: "network", change: (spec) => ({ ...spec, network: "run" }) },
  },
  allowList: {
    met: ({ network }) => network.allow,
    why: "destinations cannot be filtered",
    refuses: { path: "network", change: (spec) => ({ ...spec, network: { allow: ["10.1.2.3:443"] } }) },
  },
  memoryLimit: {
    met: ({ limits, oom }) => limits.memory && oom,
    why: "memory cannot be limited",
    refuses: {
      path: "limits.memoryBytes",
      change: (spec) => ({ ...spec, limits: { ...spec.limits, memoryBytes: 64 * 1024 * 1024 } }),
    },
  },
  cpuLimit: {
    met: ({ limits }) => limits.cpu,
    why: "cores cannot be limited",
    refuses: { path: "limits.cpus", change: (spec) => ({ ...spec, limits: { ...spec.limits, cpus: 0.5 } }) },
  },
  // Every spec has a limit of processes, as a safety net that nobody asked for: there is nothing to refuse.
  pidsLimit: { met: ({ limits }) => limits.pids, why: "the number of processes cannot be limited" },
  fixedPaths: {
    met: ({ fixedPaths }) => fixedPaths,
    why: "host folders cannot be mounted under other paths",
    refuses: {
      path: "mounts[0]",
      change: (spec) => ({ ...spec, mounts: [{ host: `${spec.folder}/in`, inside: "/berth-contract" }] }),
    },
  },
  readOnlyInputs: { met: ({ readOnlyInputs }) => readOnlyInputs, why: "inputs are the step's to write" },
  readOnlyRoot: {
    met: ({ readOnlyRoot }) => readOnlyRoot,
    why: "steps have no root file system of their own",
    refuses: {
      path: "isolation.readOnlyRoot",
      change: (spec) => ({ ...spec, isolation: { ...spec.isolation, readOnlyRoot: true } }),
    },
  },
  profiles: {
    met: ({ profiles }) => profiles,
    why: "profiles cannot be chosen",
    refuses: {
      path: "isolation.apparmor",
      change: (spec) => ({ ...spec, isolation: { ...spec.isolation, apparmor: "berth-contract" } }),
    },
  },
  fileSystemIsolation: { met: ({ fileSystemIsolation }) => fileSystemIsolation, why: "steps share the host's files" },
  lastingRecord: {
    met: ({ recordSurvivesDeletion }) => recordSurvivesDeletion,
    why: "the record goes with the object",
  },
  enter: { met: ({ enter }) => enter, why: "nobody can be put in the place of a step" },
  stats: { met: ({ stats }) => stats, why: "use of CPU and memory is not measured" },
} as const satisfies Record<string, Need>;
