import type { Command } from "commander";
import { isTerminal, RUN_TRANSITIONS, STEP_TRANSITIONS } from "../../protocol/states.ts";
import { getRun, listStepRuns, streamLogs } from "../api/runs.ts";
import type { CliContext } from "../context.ts";
import { LogLines, type TextLine } from "../follow/log-lines.ts";
import { type Connection, connect, isConnectionLoss, persistently } from "../platform/connection.ts";
import { positiveInteger } from "../positive-integer.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { plainText } from "../terminal/plain-text.ts";

type Options = WithServer<{ follow?: boolean; step?: string; attempt?: number; tail?: number; json?: boolean }>;

export function define(command: Command, context: CliContext): void {
  withServerOptions(command)
    .argument("<run>", "like wine#12, or its id")
    .option("-f, --follow", "go on until the run ends")
    .option("--step <step>", "only this step, such as train or 'train[model=knn]'")
    .option("--attempt <n>", "only this attempt", positiveInteger)
    .option("-n, --tail <lines>", "only the last lines, and what follows", positiveInteger)
    .option("--json", "print chunks as JSON lines, bytes in base64")
    .addHelpText("after", "\nExamples:\n  berth logs wine#12 -f\n  berth logs wine#12 --step train > train.log")
    .action((run: string, options: Options) => printLogs(context, run, options));
}

/** Reconnections without a single byte in between before following is given up. */
const RECONNECTIONS_MAX = 30;

async function printLogs(context: CliContext, reference: string, options: Options): Promise<void> {
  const connection = await connect(context, options);
  const run = await getRun(connection.api, reference);
  const { step, attempt, tail, follow } = options;
  const print = linePrinter(context, step === undefined);
  const lines = new LogLines();
  for (let losses = 0; losses < RECONNECTIONS_MAX; losses++) {
    const request = new AbortController();
    try {
      const query = { step, attempt, tail, follow };
      for await (const chunk of streamLogs(connection.api, run.id, query, request.signal)) {
        losses = 0;
        if (!lines.isNew(chunk)) continue;
        if (options.json) context.console.out(JSON.stringify(chunk));
        for (const line of lines.add(chunk)) if (!options.json) print(line);
      }
      // A server that stops ends the stream as if the run were over.
      if (!follow || (await isOver(connection, run.id, step))) break;
    } catch (error) {
      if (!isConnectionLoss(error)) throw error;
    } finally {
      request.abort();
    }
    await connection.recover(losses + 1);
  }
  for (const line of lines.flush()) if (!options.json) print(line);
}

/** Whether nothing more will be written by what is followed: the run, or one step of it. */
async function isOver(connection: Connection, id: string, step: string | undefined): Promise<boolean> {
  return persistently(connection, async () => {
    const run = await getRun(connection.api, id);
    if (isTerminal(RUN_TRANSITIONS, run.state)) return true;
    if (step === undefined) return false;
    const steps = await listStepRuns(connection.api, id);
    const followed = steps.filter((each) => each.key === step || each.step === step || each.parent === step);
    return followed.every((each) => isTerminal(STEP_TRANSITIONS, each.state));
  });
}

/** On a terminal nothing in a log may act on it; into a file it goes as it was written. */
function linePrinter({ console }: CliContext, withStep: boolean): (line: TextLine) => void {
  const clean = console.isTerminal ? plainText : (text: string) => text;
  return (line) =>
    console.out(withStep ? `${console.style.dim(`${clean(line.stepRun)} |`)} ${clean(line.text)}` : clean(line.text));
}
