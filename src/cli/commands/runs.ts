import type { Command } from "commander";
import { PAGE_LIMIT_MAX, type Run } from "../../protocol/resources.ts";
import { RunState } from "../../protocol/states.ts";
import { listRuns } from "../api/runs.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { runName } from "../follow/summary.ts";
import { connect } from "../platform/connection.ts";
import { positiveIntegerUpTo } from "../positive-integer.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatAge, formatDuration } from "../terminal/format-duration.ts";
import { plainText } from "../terminal/plain-text.ts";
import type { Style } from "../terminal/style.ts";
import { renderTable } from "../terminal/table.ts";
import { defineRunShow } from "./run-show.ts";
import { defineRunsOpenLineage } from "./runs-openlineage.ts";

type Options = WithServer<{ pipeline?: string; state?: string; limit: number; json?: boolean }>;

export function define(command: Command, context: CliContext): void {
  withServerOptions(command)
    .option("--pipeline <name>", "only runs of this pipeline")
    .option("--state <state>", `only runs in this state: ${RunState.options.join(", ")}`)
    .option("--limit <n>", `how many, newest first; at most ${PAGE_LIMIT_MAX}`, positiveIntegerUpTo(PAGE_LIMIT_MAX), 20)
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  berth runs --state failed\n  berth runs show wine#12")
    .action((options: Options) => printRuns(context, options));
  defineRunShow(command, context);
  defineRunsOpenLineage(command, context);
}

async function printRuns(context: CliContext, options: Options): Promise<void> {
  if (options.state !== undefined && !RunState.safeParse(options.state).success) {
    throw usageError(`"${options.state}" is no state of a run.`, `States: ${RunState.options.join(", ")}`);
  }
  const { console } = context;
  const { api } = await connect(context, options);
  const runs = await listRuns(api, { pipeline: options.pipeline, state: options.state, limit: options.limit });
  if (options.json) return console.out(JSON.stringify(runs, null, 2));
  if (runs.length === 0) return console.note("There are no such runs. Start one: berth run pipeline.yaml");
  for (const line of renderTable(
    COLUMNS,
    runs.map((run) => cells(run, console.style)),
  ))
    console.out(line);
}

const COLUMNS = ["RUN", "STATE", "CREATED", "TOOK", "WORKER", "BY"].map((title) => ({ title }));

function cells(run: Run, style: Style): string[] {
  const paint = { succeeded: style.green, failed: style.red, cancelled: style.yellow }[run.state as string];
  return [
    runName(run),
    paint === undefined ? stateText(run) : paint(run.state),
    formatAge(Date.now() - Date.parse(run.createdAt)),
    tookText(run),
    run.worker === null ? "-" : plainText(run.worker.name),
    plainText(run.createdBy),
  ];
}

function stateText({ state, concurrency }: Run): string {
  return concurrency?.heldBack ? `${state}, held back` : state;
}

function tookText(run: Run): string {
  if (run.startedAt === null) return "-";
  return formatDuration(
    (run.finishedAt === null ? Date.now() : Date.parse(run.finishedAt)) - Date.parse(run.startedAt),
  );
}
