import { setTimeout as sleep } from "node:timers/promises";
import type { Endpoint } from "../api/client.ts";
import { CliError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { startInBackground } from "./background.ts";
import { answeringEndpoint } from "./embedded-endpoint.ts";
import { homeFiles } from "./home.ts";
import { IDLE_STOP_MS } from "./idle-watch.ts";
import { runningSupervisor, wasStopped } from "./supervisor-file.ts";

/** A supervisor that lives gets this long to bring its server back. */
const WAIT_MS = 60_000;
const LOOK_INTERVAL_MS = 100;

/**
 * The endpoint of the embedded platform, which is started in the background when none runs. Safe to be called by many
 * commands at once: the supervisor's lock lets one start win, and all of them find its server.
 *
 * @param recovering the command used it before: one that was killed is brought back, one that was stopped is not
 */
export async function ensurePlatform(context: CliContext, home: string, recovering = false): Promise<Endpoint> {
  const deadline = performance.now() + WAIT_MS;
  while (performance.now() < deadline) {
    const endpoint = await answeringEndpoint(home);
    if (endpoint !== null) return endpoint;
    if (runningSupervisor(home) === null) {
      if (recovering && wasStopped(home)) throw stopped();
      announce(context, home);
      await startInBackground(context, home);
    } else {
      await sleep(LOOK_INTERVAL_MS);
    }
  }
  throw new CliError(`Berth runs in ${home}, but its server has not answered for ${WAIT_MS / 1000} s.`, {
    advice: [`Its logs say more: ${homeFiles(home).logs}`, "`berth down` stops it."],
  });
}

function stopped(): CliError {
  return new CliError("Berth was stopped while this command used it.", {
    advice: ["Steps that run go on. The next command starts Berth again; `berth runs` shows what became of the runs."],
  });
}

function announce(context: CliContext, home: string): void {
  const { note, noteStyle } = context.console;
  note(noteStyle.dim(`Starting Berth in the background (data and logs in ${home}).`));
  const minutes = IDLE_STOP_MS / 60_000;
  note(noteStyle.dim(`It ends by itself after ${minutes} idle minutes, unless schedules or triggers are active;`));
  note(noteStyle.dim("`berth down` stops it now."));
}
