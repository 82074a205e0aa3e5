import type { Command } from "commander";
import { removeWorker } from "../api/workers.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
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
  const removed = await removeWorker((await connect(context, options)).api, name, options.force === true);
  if (options.json) return context.console.out(JSON.stringify(removed, null, 2));
  const { length } = removed.released;
  const runs = length === 0 ? "" : ` ${length === 1 ? "A run" : `${length} runs`} of it went back to the queue.`;
  context.console.out(`${plainText(name)} is removed.${runs}`);
}
