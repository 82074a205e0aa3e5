import { isAbsolute } from "node:path/posix";
import type { AttemptSpec, Capabilities, PlanResult } from "../execution-backend.ts";
import { type IoSupport, ioProblems } from "./io-limits.ts";
import { type EngineIsolation, isolationProblems } from "./isolation-options.ts";

export const DOCKER_CAPABILITIES: Capabilities = {
  images: true,
  build: true,
  prepareAhead: true,
  cancel: "tree",
  network: { none: true, run: true, allow: true },
  limits: { cpu: true, memory: true, pids: true, disk: true },
  oom: true,
  fixedPaths: true,
  readOnlyInputs: true,
  readOnlyRoot: true,
  profiles: true,
  fileSystemIsolation: true,
  recordSurvivesDeletion: true,
  stats: true,
  gpus: true,
  enter: true,
};

/** The engine refuses less. */
const MEMORY_MIN_BYTES = 6 * 1024 * 1024;
/** The engine counts in hundredths of a core. */
const CPUS_MIN = 0.01;
/** Where Berth mounts its own; nothing may cover it or hide in it. */
const OWN_FOLDERS = ["/berth/in", "/berth/out", "/berth/tmp", "/berth/ctl", "/.berth"];

/** What this host's engine can do at most; null where nothing is known yet. */
export interface EngineLimits extends EngineIsolation {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly io: IoSupport;
}

export function planForDocker(spec: AttemptSpec, engine: EngineLimits | null): PlanResult {
  const { cpus, memoryBytes, pids } = spec.limits;
  const unsupported: { path: string; why: string }[] = [];
  const refuse = (path: string, why: string) => unsupported.push({ path, why });

  if (spec.image === null) refuse("image", "Docker runs steps from images; name one.");
  if (!isAbsolute(spec.folder)) refuse("folder", "must be an absolute path");
  if (spec.workingFolder !== null && !isAbsolute(spec.workingFolder))
    refuse("workingFolder", "must be an absolute path");
  if (cpus !== null && cpus < CPUS_MIN) refuse("limits.cpus", `Docker's smallest limit is ${CPUS_MIN} of a core.`);
  if (cpus !== null && engine !== null && cpus > engine.cpus) {
    refuse("limits.cpus", `${cpus} cores were asked for; this host has ${engine.cpus}.`);
  }
  if (memoryBytes !== null && memoryBytes < MEMORY_MIN_BYTES)
    refuse("limits.memoryBytes", "Docker's smallest limit is 6 MiB.");
  if (memoryBytes !== null && engine !== null && memoryBytes > engine.memoryBytes) {
    refuse("limits.memoryBytes", `${memoryBytes} bytes were asked for; this host has ${engine.memoryBytes}.`);
  }
  unsupported.push(...isolationProblems(spec, engine));
  unsupported.push(...ioProblems(spec, engine?.io ?? null));
  if (pids < 1) refuse("limits.pids", "A step needs at least one process.");
  for (const [index, { host, inside }] of spec.mounts.entries()) {
    if (!isAbsolute(host) || !isAbsolute(inside)) refuse(`mounts[${index}]`, "both paths must be absolute");
    if (isOwn(inside)) refuse(`mounts[${index}].inside`, `${inside} belongs to Berth itself.`);
  }
  for (const [name, value] of Object.entries(spec.env)) {
    if (name === "" || /[=\0]/.test(name)) refuse(`env.${name}`, "is not a name of an environment variable");
    if (value.includes("\0")) refuse(`env.${name}`, "an environment variable cannot hold a NUL character");
  }
  for (const [index, argument] of spec.argv.entries()) {
    if (argument.includes("\0")) refuse(`argv[${index}]`, "an argument cannot hold a NUL character");
  }
  return unsupported.length === 0 ? { ok: true, warnings: [] } : { ok: false, unsupported };
}

function isOwn(inside: string): boolean {
  const path = `${inside.replace(/\/+$/, "")}/`;
  return OWN_FOLDERS.some((own) => path.startsWith(`${own}/`) || `${own}/`.startsWith(path));
}
