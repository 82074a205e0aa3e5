import type { Command } from "commander";
import { usageError } from "../cli-error.ts";
import { PYTHON_HELP } from "../compile/languages.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { readPriority } from "../priority.ts";
import type { CommandResult } from "../program.ts";
import { readParams, withParams } from "../read-params.ts";
import { readPipeline } from "../read-pipeline.ts";
import { problemLine } from "../report-error.ts";
import { announceSubmitted, interruptsOfRun, runToEnd, submitRun } from "../run-pipeline.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { uploadSource } from "../upload-source.ts";
import { defineRunShow } from "./run-show.ts";

type Options = WithServer<{
  param?: string[];
  backend?: string;
  pool?: string;
  priority?: number;
  cache: boolean;
  python?: string;
  failIfImpossible?: boolean;
  detach?: boolean;
  json?: boolean;
  quiet?: boolean;
}>;

export function define(command: Command, context: CliContext, result: CommandResult): void {
  withParams(withServerOptions(command))
    .argument("<file>", "pipeline file: YAML, JSON, or a program that describes it (./show for a file of that name)")
    .option("--backend <name>", "backend to run on, such as docker or process")
    .option("--pool <name>", "pool whose workers may take the run")
    .option(
      "--priority <n>",
      "-100 to 100: runs of higher priority are taken first (default: the file's)",
      readPriority,
    )
    .option("--no-cache", "run every step, also where its result is known")
    .option("--fail-if-impossible", "submit nothing that no registered worker could ever run")
    .option("--python <program>", PYTHON_HELP)
    .option("-d, --detach", "do not wait for the end")
    .option("-q, --quiet", "print only how it ended")
    .option("--json", "print the run, its steps and artifacts as JSON; progress goes to stderr")
    .addHelpText("after", HELP)
    .action((file: string, options: Options) => run(context, file, options, result));
  defineRunShow(command, context);
}

const HELP = `
Ctrl-C cancels the run and waits for it; a second one leaves at once.

Examples:
  berth run pipeline.yaml
  berth run pipeline.yaml --param seed=7 --param model=knn
  berth run pipeline.yaml --backend process
  berth run pipeline.yaml --detach --json | jq -r .id`;

async function run(context: CliContext, file: string, options: Options, result: CommandResult): Promise<void> {
  const { console } = context;
  if (options.detach && options.quiet)
    throw usageError("--detach and --quiet do not go together.", "--detach prints little by itself.");
  const pipeline = readPipeline(file, options);
  for (const warning of pipeline.warnings)
    console.note(`${console.noteStyle.yellow("warning:")} ${problemLine(warning, file)}`);
  const params = readParams(options.param ?? [], pipeline);
  const connection = await connect(context, options);
  const source = await uploadSource(context, connection, pipeline);
  using interrupts = options.detach ? null : interruptsOfRun(context);
  const submitted = await submitRun(connection, {
    pipeline: pipeline.text,
    fileName: file,
    params,
    source,
    ...(options.backend === undefined ? {} : { backend: options.backend }),
    ...(options.cache ? {} : { noCache: true }),
    ...(options.pool === undefined ? {} : { pool: options.pool }),
    ...(options.priority === undefined ? {} : { priority: options.priority }),
    ...(options.failIfImpossible ? { failIfImpossible: true } : {}),
  });
  const { json = false, quiet = false } = options;
  announceSubmitted(context, submitted, options);
  if (interrupts === null) return;
  result.exitCode = await runToEnd(context, connection, submitted, { json, quiet, interrupts });
}
