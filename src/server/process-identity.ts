import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/**
 * When a process began, as an opaque text that no other process with the same id ever has: what makes a process id
 * kept in a file trustworthy. Null when there is no such process, or only its zombie.
 */
export function processStart(pid: number): string | null {
  return process.platform === "linux" ? fromProc(pid) : fromPs(pid);
}

/** The boot distinguishes equal ticks before and after a restart of the machine. */
function fromProc(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in parentheses and may hold anything, even ")".
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const state = fields[0];
    const startTicks = fields[19];
    if (state === "Z" || state === "X" || startTicks === undefined) return null;
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()}/${startTicks}`;
  } catch {
    return null;
  }
}

function fromPs(pid: number): string | null {
  const { status, stdout } = spawnSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], { encoding: "utf8" });
  const [state, ...start] = (stdout ?? "").trim().split(/\s+/);
  return status !== 0 || state === undefined || state === "" || state.startsWith("Z") ? null : start.join(" ");
}
