import type { Command } from "commander";
import { listWorkers, removeWorker } from "../api/workers.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { type Connection, connect } from "../platform/connection.ts";
import { berthHome, homeFiles } from "../platform/home.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { plainText } from "../terminal/plain-text.ts";

type Options = WithServer<{ force?: boolean; json?: boolean }>;

/** `berth workers remove`: for good; the machine can be registered again as a new worker. */
export function defineWorkersRemove(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("remove <worker>"))
    .description("remove a worker for good")
    .option("--force", "although it holds runs: they start again on other workers, from what is committed")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  berth workers remove old-1\n  berth workers remove burnt-down-1 --force")
    .action((worker: string, options: Options) => remove(context, worker, options));
}

async function remove(context: CliContext, name: string, options: Options): Promise<void> {
  const connection = await connect(context, options);
  if (connection.embedded) await refuseOwnWorker(context, connection, name);
  const removed = await removeWorker(connection.api, name, options.force === true);
  if (options.json) return context.console.out(JSON.stringify(removed, null, 2));
  const { length } = removed.released;
  const runs = length === 0 ? "" : ` ${length === 1 ? "A run" : `${length} runs`} of it went back to the queue.`;
  context.console.out(`${plainText(name)} is removed.${runs}`);
}

/** The platform on this machine is its server and this worker: without it nothing would run. */
async function refuseOwnWorker(context: CliContext, { api }: Connection, name: string): Promise<void> {
  const own = await context.programs.registeredWorker(homeFiles(berthHome(context.env)).localAgent);
  const named = (await listWorkers(api)).find((worker) => worker.id === name || worker.name === name);
  if (own === null || named?.id !== own.id) return;
  throw usageError(
    `${named.name} is the worker of Berth on this machine, and comes and goes with it.`,
    `\`berth workers drain ${named.name}\` keeps runs off it; \`berth down\` stops both.`,
  );
}
