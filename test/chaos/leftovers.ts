import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { listAttemptParts, listRunFolders } from "../../src/agent/run-folder.ts";

/** What runs left on the workers, by the homes of their agents: folders, processes and containers. */
export function leftoversOf(homes: readonly string[]): string[] {
  return [
    ...homes.flatMap((home) => [...listRunFolders(home), ...listAttemptParts(home).map(({ folder }) => folder)]),
    ...homes.flatMap(stepProcesses),
    ...[...new Set(homes.map(installationOf))].flatMap(containers),
  ];
}

/** The agents of one platform share it, and no other platform has it. */
function installationOf(home: string): string {
  return (JSON.parse(readFileSync(join(home, "agent.json"), "utf8")) as { installation: string }).installation;
}

function containers(installation: string): string[] {
  const filter = `label=berth.installation=${installation}`;
  const { stdout } = spawnSync("docker", ["ps", "--all", "--quiet", "--filter", filter], { encoding: "utf8" });
  return (stdout ?? "").split("\n").flatMap((id) => (id === "" ? [] : [`container ${id}`]));
}

/** Processes whose variables are those of a step below this home. */
function stepProcesses(home: string): string[] {
  const isOfStep = (variable: string) => variable.startsWith("BERTH_") && variable.includes(`=${home}/attempts/`);
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const isStep = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").some(isOfStep);
      return isStep ? [`process ${pid} of ${basename(join(home, ".."))}`] : [];
    } catch {
      return []; // It ended meanwhile, or is somebody else's.
    }
  });
}
