import type { Command } from "commander";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { positiveInteger } from "../positive-integer.ts";
import type { CommandResult } from "../program.ts";
import { type SecretFiles, secretFile } from "../replay/ask-secrets.ts";
import { parseStepRunReference } from "../replay/attempt-reference.ts";
import { replayAttempt } from "../replay/replay-attempt.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

type Options = WithServer<{
  attempt?: number;
  backend?: string;
  output?: string;
  keep?: boolean;
  rebuild?: boolean;
  json?: boolean;
  shell?: boolean;
  secret?: SecretFiles;
}>;

export function define(command: Command, context: CliContext, result: CommandResult): void {
  withServerOptions(command)
    .argument("<step>", "a step of a run, like wine#12/train, 'wine#12/train[model=knn]' or 'wine#12/score[7]'")
    .argument("[command...]", "after --: what to run in place of the step's own command")
    .option("--attempt <n>", "this attempt (default: the last one)", positiveInteger)
    .option("--backend <name>", "run it here on this backend (default: the attempt's own)")
    .option("-o, --output <folder>", "new folder for the outputs (default: replay-… in this folder)")
    .option("--shell", "open a shell (or the command after --) in the place of the step")
    .option("--secret <NAME=@file>", "value of a secret that the step names (default: asked for)", secretFile)
    .option("--keep", "keep the attempt's folder, with inputs and scratch, and print where it is")
    .option("--rebuild", "make the image from its recipe, where the attempt's own is not to be had")
    .option("--json", "print what it was made of and how it ended as JSON; the step's output goes to stderr")
    .addHelpText("after", HELP)
    .action((step: string, argv: string[], options: Options) => replay(context, step, argv, options, result));
}

const HELP = `
Runs one attempt of the past again on this machine: same image, inputs, parameters, variables and command. Nothing is
written to the server. Effects that the step has elsewhere happen again. The exit code is the step's. Ctrl-C stops it
and cleans up; a second one kills it.

Examples:
  berth replay wine#12/train
  berth replay 'wine#12/score[7]' --attempt 2
  berth replay wine#12/train -- python -X dev train.py
  berth replay wine#12/train --shell
  berth replay wine#12/train --shell -- python -m pdb train.py
  berth replay report#7/publish --secret REPORT_TOKEN=@token.txt
  berth replay wine#12/train --keep --json | jq .replay`;

async function replay(
  context: CliContext,
  text: string,
  argv: readonly string[],
  options: Options,
  result: CommandResult,
): Promise<void> {
  if (options.shell === true && options.json === true) {
    throw usageError("--shell and --json do not go together.", "A shell has the output for itself.");
  }
  const reference = parseStepRunReference(text);
  if (argv.some((argument) => argument.includes("\0"))) throw usageError("A command cannot hold a zero byte.");
  result.exitCode = await replayAttempt(context, reference, { ...options, argv });
}
