import type { Command } from "commander";
import type { Run } from "../../protocol/resources.ts";
import { RunState } from "../../protocol/states.ts";
import { listRuns, type RunFilter } from "../api/runs.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { runName } from "../follow/summary.ts";
import { connect } from "../platform/connection.ts";
import { positiveIntegerUpTo } from "../positive-integer.ts";
import { readMoment } from "../read-moment.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatAge, formatDuration } from "../terminal/format-duration.ts";
import { plainText } from "../terminal/plain-text.ts";
import type { Style } from "../terminal/style.ts";
import { renderTable } from "../terminal/table.ts";
import { defineRunShow } from "./run-show.ts";
import { defineRunsOpenLineage } from "./runs-openlineage.ts";

type Options = WithServer<RunFilter & { label: string[]; limit: number; json?: boolean }>;

const LIMIT_MAX = 10_000;

export function define(command: Command, context: CliContext): void {
  withServerOptions(command)
    .option("--pipeline <name>", "only runs of this pipeline")
    .option(
      "--state <states>",
      `only runs in these states, with commas between: ${RunState.options.join(", ")}`,
      states,
    )
    .option("--worker <worker>", "only runs that this worker holds or held")
    .option("--label <label>", "only runs whose worker must have this label; may be repeated", collect, [])
    .option("--since <time>", "only runs submitted since: 2026-03-29T03:00:00Z, or 30m, 24h or 7d ago", readMoment)
    .option("--until <time>", "only runs submitted before", readMoment)
    .option("--started-by <starter>", "only runs started by a person, schedule or trigger; or by one: trigger:push")
    .option("--text <text>", "only runs with this in their name, parameters, labels, worker or starter")
    .option("--limit <n>", `how many, newest first; at most ${LIMIT_MAX}`, positiveIntegerUpTo(LIMIT_MAX), 20)
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action((options: Options) => printRuns(context, options));
  defineRunShow(command, context);
  defineRunsOpenLineage(command, context);
}

const HELP = `
Examples:
  berth runs --state failed --since 24h
  berth runs --started-by schedule --text region=eu
  berth runs show wine#12`;

function states(text: string): string {
  const wrong = text.split(",").find((state) => !RunState.safeParse(state).success);
  if (wrong === undefined) return text;
  throw usageError(`"${wrong}" is no state of a run.`, `States: ${RunState.options.join(", ")}`);
}

function collect(label: string, labels: readonly string[]): string[] {
  return [...labels, label];
}

async function printRuns(context: CliContext, options: Options): Promise<void> {
  const { console } = context;
  const { pipeline, state, worker, label, since, until, startedBy, text, limit } = options;
  const { api } = await connect(context, options);
  const runs = await listRuns(api, { pipeline, state, worker, label, since, until, startedBy, text, limit });
  if (options.json) return console.out(JSON.stringify(runs, null, 2));
  if (runs.length === 0) return console.note("There are no such runs. Start one: berth run pipeline.yaml");
  for (const line of renderTable(
    COLUMNS,
    runs.map((run) => cells(run, console.style)),
  ))
    console.out(line);
}

const COLUMNS = ["RUN", "STATE", "CREATED", "TOOK", "WORKER", "STARTED BY"].map((title) => ({ title }));

function cells(run: Run, style: Style): string[] {
  const paint = { succeeded: style.green, failed: style.red, cancelled: style.yellow }[run.state as string];
  return [
    runName(run),
    paint === undefined ? stateText(run) : paint(run.state),
    formatAge(Date.now() - Date.parse(run.createdAt)),
    tookText(run),
    run.worker === null ? "-" : plainText(run.worker.name),
    plainText(starterText(run)),
  ];
}

/** `alice`, `schedule wine/nightly` */
function starterText({ startedBy: { kind, name } }: Run): string {
  return kind === "person" ? name : `${kind} ${name}`;
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
