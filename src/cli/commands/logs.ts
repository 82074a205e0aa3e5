import { type Command, InvalidArgumentError } from "commander";
import { LogLines, type TextLine, toRecordLine } from "../../protocol/log-lines.ts";
import { isAtLeast, LOG_LEVELS, LogLevel, parseLogRecord } from "../../protocol/log-record.ts";
import { isTerminal, RUN_TRANSITIONS, STEP_TRANSITIONS } from "../../protocol/states.ts";
import { getRun, listStepRuns, streamLogs } from "../api/runs.ts";
import type { CliContext } from "../context.ts";
import { logText } from "../follow/log-text.ts";
import { type Connection, connect, isConnectionLoss, persistently } from "../platform/connection.ts";
import { positiveInteger } from "../positive-integer.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { plainText } from "../terminal/plain-text.ts";

type Options = WithServer<{
  follow?: boolean;
  step?: string;
  attempt?: number;
  tail?: number;
  level?: LogLevel;
  raw?: boolean;
  json?: boolean;
}>;

export function define(command: Command, context: CliContext): void {
  withServerOptions(command)
    .argument("<run>", "like wine#12, or its id")
    .option("-f, --follow", "go on until the run ends")
    .option("--step <step>", "only this step, such as train or 'train[model=knn]'")
    .option("--attempt <n>", "only this attempt", positiveInteger)
    .option("-n, --tail <lines>", "only the last lines, and what follows", positiveInteger)
    .option("--level <level>", `only structured lines of this level and above: ${LOG_LEVELS.join(", ")}`, logLevel)
    .option("--raw", "structured lines as they were written")
    .option("--json", "each line as JSON: level, message, fields, at and where it is from")
    .addHelpText("after", HELP)
    .action((run: string, options: Options) => printLogs(context, run, options));
}

const HELP = `
What a step writes as structured lines is shown as LEVEL message key=value. Other lines have no level.

Examples:
  berth logs wine#12 -f
  berth logs wine#12 --step train > train.log
  berth logs wine#12 --level warn
  berth logs wine#12 --json | jq 'select(.level == "error") | .fields'`;

function logLevel(text: string): LogLevel {
  const level = LogLevel.safeParse(text.toLowerCase());
  if (level.success) return level.data;
  throw new InvalidArgumentError(`It is one of ${LOG_LEVELS.join(", ")}.`);
}

/** Reconnections without a single byte in between before following is given up. */
const RECONNECTIONS_MAX = 30;

async function printLogs(context: CliContext, reference: string, options: Options): Promise<void> {
  const connection = await connect(context, options);
  const run = await getRun(connection.api, reference);
  const { step, attempt, tail, follow } = options;
  const print = linePrinter(context, options);
  const lines = new LogLines();
  for (let losses = 0; losses < RECONNECTIONS_MAX; losses++) {
    const request = new AbortController();
    try {
      const query = { step, attempt, tail, follow };
      for await (const chunk of streamLogs(connection.api, run.id, query, request.signal)) {
        losses = 0;
        for (const line of lines.add(chunk)) print(line);
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
  for (const line of lines.flush()) print(line);
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

/** On a terminal nothing in a log may act on it; into a file, what is no structured line goes as it was written. */
function linePrinter({ console }: CliContext, { step, level, raw, json }: Options): (line: TextLine) => void {
  const clean = console.isTerminal;
  return (line) => {
    const record = parseLogRecord(line.text);
    if (level !== undefined && !isAtLeast(record, level)) return;
    if (json) return console.out(JSON.stringify(toRecordLine(line, record)));
    const name = clean ? plainText(line.stepRun) : line.stepRun;
    const prefix = step === undefined ? `${console.style.dim(`${name} |`)} ` : "";
    const asWritten = clean ? plainText(line.text) : line.text;
    const texts = raw ? [asWritten] : logText(line.text, { style: console.style, clean });
    for (const text of texts) console.out(`${prefix}${text}`);
  };
}
