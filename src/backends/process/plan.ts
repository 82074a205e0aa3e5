import { isAbsolute } from "node:path";
import type { AttemptSpec, Capabilities, PlanResult } from "../execution-backend.ts";

export const PROCESS_CAPABILITIES: Capabilities = {
  images: false,
  build: false,
  prepareAhead: true,
  cancel: "tree",
  network: { none: false, run: true, allow: false },
  limits: { cpu: false, memory: false, pids: false, disk: true },
  oom: false,
  fixedPaths: false,
  readOnlyInputs: false,
  readOnlyRoot: false,
  profiles: false,
  fileSystemIsolation: false,
  recordSurvivesDeletion: true,
  stats: true,
  gpus: true,
  enter: true,
};

/** The kernel's limit for one argument or one variable, with the byte that ends it. */
const STRING_BYTES_MAX = 128 * 1024 - 1;

type Unsupported = { readonly path: string; readonly why: string };

/** What a plain process cannot do is refused, never left out: a step that asked for a limit must not run without. */
export function planProcess(spec: AttemptSpec): PlanResult {
  const unsupported = [...isolationProblems(spec), ...folderProblems(spec), ...stringProblems(spec)];
  return unsupported.length > 0 ? { ok: false, unsupported } : { ok: true, warnings: [] };
}

function isolationProblems({ image, network, limits, isolation = {} }: AttemptSpec): Unsupported[] {
  const checks: readonly [refused: boolean, path: string, why: string][] = [
    [image !== null, "image", "plain processes run without an image"],
    [network !== "run", "network", "a plain process shares the worker's network"],
    [limits.cpus !== null, "limits.cpus", "a plain process cannot be limited in cores"],
    [limits.io !== undefined, "limits.io", "a plain process cannot be held back from disks"],
    [limits.memoryBytes !== null, "limits.memoryBytes", "a plain process cannot be limited in memory"],
  ];
  const asked = Object.keys(isolation).map((key) => ({
    path: `isolation.${key}`,
    why: "a plain process is not isolated: run it on the docker backend",
  }));
  return [...asked, ...checks.filter(([refused]) => refused).map(([, path, why]) => ({ path, why }))];
}

function folderProblems({ workingFolder, mounts }: AttemptSpec): Unsupported[] {
  const moved = mounts.flatMap(({ host, inside }, index) =>
    host === inside
      ? []
      : [{ path: `mounts[${index}]`, why: `a plain process sees ${host} under that very path, not as ${inside}` }],
  );
  if (workingFolder === null || isAbsolute(workingFolder)) return moved;
  return [...moved, { path: "workingFolder", why: "it must be an absolute path" }];
}

function stringProblems({ argv, env }: AttemptSpec): Unsupported[] {
  const args = argv.flatMap((arg, index) => textProblem(`argv[${index}]`, arg));
  const variables = Object.entries(env).flatMap(([name, value]) => {
    if (name === "" || name.includes("=")) return [{ path: "env", why: `${JSON.stringify(name)} is no variable name` }];
    return textProblem(`env.${name}`, `${name}=${value}`);
  });
  return [...args, ...variables];
}

function textProblem(path: string, text: string): Unsupported[] {
  if (text.includes("\0")) return [{ path, why: "it holds a NUL byte, which no process can be given" }];
  // Three bytes per character at most: only a long text is measured.
  if (text.length * 3 <= STRING_BYTES_MAX || Buffer.byteLength(text) <= STRING_BYTES_MAX) return [];
  return [{ path, why: `it is longer than the ${STRING_BYTES_MAX} bytes that the system allows; pass it as a file` }];
}
