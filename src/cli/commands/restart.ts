import type { Command } from "commander";
import { newId } from "../../protocol/ids.ts";
import { NAME_PATTERN, NAME_RULE } from "../../protocol/names.ts";
import { restartRun } from "../api/runs.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { connect, persistently } from "../platform/connection.ts";
import type { CommandResult } from "../program.ts";
import { announceSubmitted, interruptsOfRun, runToEnd } from "../run-pipeline.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { plainText } from "../terminal/plain-text.ts";

type Options = WithServer<{
  from?: string;
  fromFailed?: boolean;
  withLatest?: boolean;
  failIfImpossible?: boolean;
  detach?: boolean;
  json?: boolean;
  quiet?: boolean;
}>;

export function define(command: Command, context: CliContext, result: CommandResult): void {
  withServerOptions(command)
    .argument("<run>", "like wine#12, or its id")
    .option("--from-failed", "run again what did not succeed, and take over the rest (the default)")
    .option("--from <step>", "run again this step and all that need it, and what did not succeed")
    .option(
      "--with-latest",
      "by the newest version that was run or applied (berth run, berth schedules apply), its source and images;\n" +
        "what changed runs again, with all that needs it",
    )
    .option("--fail-if-impossible", "submit nothing that no registered worker could ever run")
    .option("-d, --detach", "do not wait for the end")
    .option("-q, --quiet", "print only how it ended")
    .option("--json", "print the run, its steps and artifacts as JSON; progress goes to stderr")
    .addHelpText(
      "after",
      "\nExamples:\n  berth restart wine#12\n  berth restart wine#12 --from train\n  berth restart wine#12 --with-latest",
    )
    .action((run: string, options: Options) => restart(context, run, options, result));
}

async function restart(context: CliContext, reference: string, options: Options, result: CommandResult): Promise<void> {
  const { from, fromFailed, detach, json = false, quiet = false } = options;
  if (from !== undefined && fromFailed) throw usageError("--from and --from-failed do not go together.", "Choose one.");
  if (detach && quiet)
    throw usageError("--detach and --quiet do not go together.", "--detach prints little by itself.");
  if (from !== undefined && !NAME_PATTERN.test(from)) {
    throw usageError(
      `--from names a step of the pipeline, and "${from}" is none.`,
      from.includes("[")
        ? `Name the step: --from ${from.slice(0, from.indexOf("["))}. Failed items alone run again without --from.`
        : NAME_RULE,
    );
  }
  const connection = await connect(context, options);
  const input = {
    requestKey: newId("run"),
    ...(from === undefined ? {} : { from }),
    ...(options.withLatest ? { withLatest: true } : {}),
    ...(options.failIfImpossible ? { failIfImpossible: true } : {}),
  };
  using interrupts = detach ? null : interruptsOfRun(context);
  let requests = 0;
  const made = await persistently(connection, () => {
    requests++;
    return restartRun(connection.api, reference, input);
  });
  announceSubmitted(context, made, options);
  if (!quiet)
    for (const { step, what } of made.changed) context.console.note(plainText(`${step} runs again: ${whatOf(what)}`));
  // The answer to a repeated request does not say what changed.
  if (options.withLatest && !quiet && made.changed.length === 0 && requests === 1) {
    context.console.note(`version ${made.pipelineVersion} is the newest: nothing changed`);
  }
  if (interrupts === null) return;
  result.exitCode = await runToEnd(context, connection, made, { json, quiet, interrupts });
}

/** `command, env.MODE changed`, or a sentence as it is. */
function whatOf(what: readonly string[]): string {
  return what.some((one) => one.includes(" ")) ? what.join(", ") : `${what.join(", ")} changed`;
}
