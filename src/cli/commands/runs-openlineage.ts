import type { Command } from "commander";
import { PAGE_LIMIT_MAX } from "../../protocol/resources.ts";
import { listRuns, streamOpenLineage } from "../api/runs.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { positiveIntegerUpTo } from "../positive-integer.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

type Options = WithServer<{ pipeline?: string; last?: number }>;

export function defineRunsOpenLineage(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("openlineage [runs...]"))
    .description("print runs as events of OpenLineage, one JSON object a line")
    .option("--last <n>", "the newest runs, oldest first", positiveIntegerUpTo(PAGE_LIMIT_MAX))
    .option("--pipeline <name>", "with --last: only runs of this pipeline")
    .addHelpText("after", HELP)
    .action((runs: string[], options: Options) => printEvents(context, runs, options));
}

const HELP = `
Each attempt of a step is a run of the job pipeline.step, below the run of the job of its pipeline; datasets are
versions of artifacts. The same run always has the same events under the same ids: sending them twice changes nothing.

Examples:
  berth runs openlineage wine#12
  berth runs openlineage --pipeline wine --last 20 > wine.jsonl`;

async function printEvents(context: CliContext, runs: readonly string[], options: Options): Promise<void> {
  const { console } = context;
  const { last, pipeline } = options;
  if ((runs.length === 0) === (last === undefined) || (pipeline !== undefined && last === undefined)) {
    throw usageError("Name runs, or take the newest ones with --last, of one --pipeline if wanted.");
  }
  const { api } = await connect(context, options);
  const wanted =
    last === undefined ? runs : (await listRuns(api, { pipeline, limit: last })).map(({ id }) => id).reverse();
  const abort = new AbortController();
  for (const run of wanted) {
    for await (const event of streamOpenLineage(api, run, abort.signal)) console.out(JSON.stringify(event));
  }
}
