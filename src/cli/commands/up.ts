import type { Command } from "commander";
import { CliError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { onInterrupt } from "../on-interrupt.ts";
import { embeddedEndpoint } from "../platform/embedded-endpoint.ts";
import { berthHome } from "../platform/home.ts";
import { type ListenOptions, listenEnvironment, withListenOptions } from "../platform/listen-options.ts";
import { registrationLine } from "../platform/registration-line.ts";
import { runBackgroundPlatform } from "../platform/run-background.ts";
import { AlreadyUp, type ReadyPlatform, supervise } from "../platform/supervisor.ts";
import { runningSupervisor } from "../platform/supervisor-file.ts";

export function define(command: Command, context: CliContext): void {
  withListenOptions(command)
    .option("--background", "started by another command: end when idle")
    .addHelpText("after", HELP)
    .action(async (options: ListenOptions & { background?: boolean }) => {
      if (options.background) await runBackgroundPlatform(context);
      else await runInForeground({ ...context, env: { ...context.env, ...listenEnvironment(options) } });
    });
  command.options.find((option) => option.long === "--background")!.hidden = true;
}

const HELP = `
Starts a server on embedded PostgreSQL and one worker, and keeps both running until Ctrl-C. Everything lies in
BERTH_HOME (~/.berth). Stopping loses nothing: steps that run go on, and are found again at the next start.

Examples:
  berth up
  berth up --listen 0.0.0.0:7070 --tls generate
  BERTH_HOME=/srv/berth berth up`;

async function runInForeground(context: CliContext): Promise<void> {
  const home = berthHome(context.env);
  const stop = new AbortController();
  const { note } = context.console;
  using _ = onInterrupt((count) => {
    if (count > 1) process.exit(130);
    note("Stopping. Steps that run go on; Ctrl-C again does not wait.");
    stop.abort();
  });
  note("Starting …");
  try {
    await supervise({
      context,
      home,
      background: false,
      signal: stop.signal,
      log: (line) => note(`${new Date().toISOString()} ${line}`),
      onReady: (platform) => printReady(context, home, platform),
      onActivity: () => {},
    });
    note("Stopped.");
  } catch (error) {
    if (error instanceof AlreadyUp) throw alreadyUp(home);
    throw error;
  }
}

function printReady({ console }: CliContext, home: string, { url, worker }: ReadyPlatform): void {
  const { bold, dim, green } = console.style;
  console.out(`${green("✓")} ${bold("Berth is up")} at ${url} with worker "${worker.name}"`);
  console.out("");
  console.out(`  berth run pipeline.yaml     run a pipeline, from another terminal`);
  console.out(`  berth ui                    open the web UI, and watch it`);
  console.out(`  berth workers               see the worker and its backends`);
  console.out(`  ${url}/api/openapi.json   the API`);
  const endpoint = embeddedEndpoint(home);
  const line = endpoint === null ? null : registrationLine(endpoint);
  if (line !== null) {
    console.out("");
    console.out("  To make another machine a worker of it (`berth token create --registration` makes a token):");
    console.out(`  ${line}`);
  }
  console.out("");
  console.out(dim(`Data and logs: ${home}. Ctrl-C stops it.`));
}

function alreadyUp(home: string): CliError {
  const info = runningSupervisor(home);
  const where = info === null ? "" : `, ${info.background ? "in the background, " : ""}as process ${info.pid}`;
  return new CliError(`Berth is already up in ${home}${where}.`, {
    advice: ["`berth down` stops it; another BERTH_HOME makes room for a second one."],
  });
}
