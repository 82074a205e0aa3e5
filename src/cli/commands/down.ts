import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { CliError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { berthHome, homeFiles } from "../platform/home.ts";
import { runningSupervisor } from "../platform/supervisor-file.ts";

const STOP_TIMEOUT_MS = 60_000;
const LOOK_INTERVAL_MS = 50;

export function define(command: Command, context: CliContext): void {
  command
    .addHelpText(
      "after",
      "\nStops the platform in BERTH_HOME, however it was started. Steps that run go on.\n\nExample:\n  berth down",
    )
    .action(() => stopPlatform(context));
}

async function stopPlatform(context: CliContext): Promise<void> {
  const home = berthHome(context.env);
  const supervisor = runningSupervisor(home);
  if (supervisor === null) {
    context.console.note(`Berth is not up in ${home}.`);
    return;
  }
  process.kill(supervisor.pid, "SIGTERM");
  const deadline = performance.now() + STOP_TIMEOUT_MS;
  while (isAlive(supervisor.pid)) {
    if (performance.now() > deadline) {
      throw new CliError(`Berth (process ${supervisor.pid}) has not stopped after ${STOP_TIMEOUT_MS / 1000} s.`, {
        advice: [`Its logs say more: ${homeFiles(home).logs}`],
      });
    }
    await sleep(LOOK_INTERVAL_MS);
  }
  context.console.note("Stopped.");
}

/** The process, not the lock of the home: another command may start Berth again at once, which is its own affair. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
