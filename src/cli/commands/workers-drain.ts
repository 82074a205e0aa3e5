import type { Command } from "commander";
import { drainWorker } from "../api/workers.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { plainText } from "../terminal/plain-text.ts";

type Options = WithServer<{ json?: boolean }>;

/** `berth workers drain` and its opposite, `undrain`. */
export function defineWorkersDrain(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("drain <worker>"))
    .description("let a worker end its runs and take no further ones")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth workers drain gpu-1    before its machine is serviced")
    .action((worker: string, options: Options) => setDraining(context, worker, true, options));
  withServerOptions(parent.command("undrain <worker>"))
    .description("let a draining worker take runs again")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth workers undrain gpu-1")
    .action((worker: string, options: Options) => setDraining(context, worker, false, options));
}

async function setDraining(context: CliContext, name: string, draining: boolean, options: Options): Promise<void> {
  const worker = await drainWorker((await connect(context, options)).api, name, draining);
  if (options.json) return context.console.out(JSON.stringify(worker, null, 2));
  const runs = worker.held === 1 ? "1 run" : `${worker.held} runs`;
  const what = draining ? `takes no further runs; it holds ${runs}.` : "takes runs again.";
  context.console.out(`${plainText(worker.name)} ${what}`);
}
