import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { openCluster } from "../../src/server/postgres/cluster.ts";
import { adopt, stopPostmaster } from "../../src/server/postgres/postmaster.ts";
import { endLeftovers, endParts } from "./leftovers.ts";

/**
 * A chaos run that is itself killed cannot tidy up. Its servers and agents notice, and end, but for those that are just
 * stopped; its PostgreSQL outlives it, as it is made to, and so do its steps. The next run ends them all. Whose a folder is,
 * its owner's note says.
 */

/** The note goes when this process has tidied up by itself, whatever else stays in the folder. */
export function noteOwner(folder: string): Disposable {
  writeFileSync(ownerFile(folder), String(process.pid));
  return { [Symbol.dispose]: () => rmSync(ownerFile(folder), { force: true }) };
}

/** Stops what chaos runs that are not there any more left running, beside this folder; returns their folders. */
export async function stopAbandoned(folder: string): Promise<string[]> {
  const parent = dirname(folder);
  const abandoned = readdirSync(parent)
    .map((name) => join(parent, name))
    .filter((other) => existsSync(ownerFile(other)) && !isChaosRun(Number(readFileSync(ownerFile(other), "utf8"))));
  for (const other of abandoned) {
    const postmaster = await adopt(openCluster(join(other, "postgres")));
    if (postmaster !== null) await stopPostmaster(postmaster.pid, postmaster.exited);
    endParts(other);
    endLeftovers(other);
    rmSync(ownerFile(other));
  }
  return abandoned;
}

/** Whether this process id is that of a chaos run still, and not of something that came later. */
export function isChaosRun(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("chaos");
  } catch {
    return false;
  }
}

function ownerFile(folder: string): string {
  return join(folder, "chaos-owner");
}
