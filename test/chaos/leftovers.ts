import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { listAttemptParts, listRunFolders } from "../../src/agent/run-folder.ts";

/** What runs left on the workers of a chaos run, by its folder: folders, processes and containers. */
export function leftoversOf(chaosFolder: string): string[] {
  const homes = homesIn(chaosFolder);
  return [
    ...homes.flatMap((home) => [...listRunFolders(home), ...listAttemptParts(home).map(({ folder }) => folder)]),
    ...homes.flatMap((home) => stepProcesses(home).map((pid) => `process ${pid} of ${basename(dirname(home))}`)),
    ...installationsOf(homes)
      .flatMap(containers)
      .map((id) => `container ${id}`),
  ];
}

/** Ends what agents that were told to stop let go on: of a chaos run that is broken off nobody comes back for it. */
export function endLeftovers(chaosFolder: string): void {
  const homes = homesIn(chaosFolder);
  const left = installationsOf(homes).flatMap(containers);
  if (left.length > 0) spawnSync("docker", ["rm", "--force", ...left]);
  endAll(homes.flatMap(stepProcesses));
}

/** Ends servers, agents and processes of PostgreSQL of a chaos run, also stopped ones, which notice nothing. */
export function endParts(chaosFolder: string): void {
  const isWithin = (path: string) => path.startsWith(`${chaosFolder}/`);
  const hasHome = (variable: string) => variable.startsWith("BERTH_HOME=") && isWithin(variable.slice(11));
  endAll(processes((pid) => isWithin(readlinkSync(`/proc/${pid}/cwd`)) || variablesOf(pid).some(hasHome)));
}

function endAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
}

function homesIn(chaosFolder: string): string[] {
  return readdirSync(chaosFolder)
    .map((name) => join(chaosFolder, name, "agent"))
    .filter((home) => existsSync(join(home, "agent.json")));
}

/** The agents of one platform share it, and no other platform has it. */
function installationsOf(homes: readonly string[]): string[] {
  const read = (home: string) => JSON.parse(readFileSync(join(home, "agent.json"), "utf8")) as { installation: string };
  return [...new Set(homes.map((home) => read(home).installation))];
}

function containers(installation: string): string[] {
  const filter = `label=berth.installation=${installation}`;
  const { stdout } = spawnSync("docker", ["ps", "--all", "--quiet", "--filter", filter], { encoding: "utf8" });
  return (stdout ?? "").split("\n").filter((id) => id !== "");
}

/** Processes whose variables are those of a step below this home. */
function stepProcesses(home: string): number[] {
  const isOfStep = (variable: string) => variable.startsWith("BERTH_") && variable.includes(`=${home}/attempts/`);
  return processes((pid) => variablesOf(pid).some(isOfStep));
}

function variablesOf(pid: string): string[] {
  return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
}

function processes(isWanted: (pid: string) => boolean): number[] {
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      return isWanted(pid) ? [Number(pid)] : [];
    } catch {
      return []; // It ended meanwhile, or is somebody else's.
    }
  });
}
