import type { Command } from "commander";
import { cancelRun } from "../api/runs.ts";
import type { CliContext } from "../context.ts";
import { runName } from "../follow/summary.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

type Options = WithServer<{ reason?: string; json?: boolean }>;

export function define(command: Command, context: CliContext): void {
  withServerOptions(command)
    .argument("<run>", "like wine#12, or its id")
    .option("--reason <text>", "kept with the run")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth cancel wine#12 --reason 'wrong input'")
    .action((run: string, options: Options) => cancel(context, run, options));
}

async function cancel(context: CliContext, reference: string, options: Options): Promise<void> {
  const { api } = await connect(context, options);
  const run = await cancelRun(api, reference, options.reason ?? null);
  if (options.json) context.console.out(JSON.stringify(run, null, 2));
  else context.console.out(`${runName(run)} is ${run.state}.`);
}
