import type { Command } from "commander";
import { listAttemptUsage } from "../api/runs.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { positiveInteger } from "../positive-integer.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderUsage } from "../usage/render-usage.ts";

type Options = WithServer<{ attempt?: number; json?: boolean }>;

const HELP = `
With a step, what its attempts used is also drawn over time. Bytes read and written are those that disks moved; memory is
the most at once, with what it had of files. The network's bytes are told of attempts that had it for themselves.

Examples:
  berth usage wine#12
  berth usage latest train
  berth usage wine#12 --json | jq '.[] | {stepRun, usage}'`;

export function define(command: Command, context: CliContext): void {
  withServerOptions(command)
    .argument("<run>", "like wine#12, or its id")
    .argument("[step]", "only this step, such as train or 'train[model=knn]'")
    .option("--attempt <n>", "only this attempt", positiveInteger)
    .option("--json", "print JSON, with all that was seen over time")
    .addHelpText("after", HELP)
    .action((run: string, step: string | undefined, options: Options) => printUsage(context, { run, step }, options));
}

async function printUsage(
  context: CliContext,
  { run, step }: { readonly run: string; readonly step: string | undefined },
  { attempt, json, ...server }: Options,
): Promise<void> {
  const { console } = context;
  const { api } = await connect(context, server);
  const attempts = await listAttemptUsage(api, run, { step, attempt });
  if (json) return console.out(JSON.stringify(attempts, null, 2));
  if (attempts.length === 0 && step !== undefined) {
    throw usageError(
      `No attempt of ${plainText(run)} is of the step ${plainText(step)}${attempt === undefined ? "" : `, number ${attempt}`}.`,
    );
  }
  if (attempts.length === 0) return console.note("The run has no attempts yet.");
  const { columns, style } = console;
  const options = { columns, style, nowMs: Date.now(), curves: step !== undefined };
  for (const line of renderUsage(attempts, options)) console.out(line);
}
