import type { Command } from "commander";
import { stepVariables } from "../../pipeline/step-variables.ts";
import { didYouMean } from "../../pipeline/suggest.ts";
import type { RunVariables, StepVariable, VariableValues } from "../../protocol/variables.ts";
import { getRunVariables, listVariables } from "../api/variables.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { readPipeline } from "../read-pipeline.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";

type Options = WithServer<{ pipeline?: string; step?: string; json?: boolean }>;

/** `berth env show RUN [STEP]`, or of a pipeline file that has not run. */
export function defineEnvShow(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("show [run] [step]"))
    .description("print each variable that steps are given, where it comes from, and what it overrides")
    .option("--pipeline <file>", "of this file with the project's variables as they are now, in place of a run's")
    .option("--step <name>", "one step's only")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action((run: string | undefined, step: string | undefined, options: Options) => show(context, run, step, options));
}

const HELP = `
What wins: a step's \`env:\`, before its environment's, before the pipeline's, before the project's (\`berth env set\`).
Templates are shown as they are written. The BERTH_ variables of each attempt, and secrets, are not among them.

Examples:
  berth env show wine#12 train
  berth env show --pipeline pipeline.yaml --step train`;

async function show(
  context: CliContext,
  run: string | undefined,
  argument: string | undefined,
  options: Options,
): Promise<void> {
  const step = argument ?? options.step;
  if ((run === undefined) === (options.pipeline === undefined)) {
    throw usageError("Name a run, or a pipeline file by --pipeline.", "Example: berth env show wine#12 train");
  }
  const { api } = await connect(context, options);
  const shown =
    run === undefined
      ? ofFile(options.pipeline!, step, await projectVariables(listVariables(api)))
      : await getRunVariables(api, run, step);
  const { console } = context;
  if (options.json) return console.out(JSON.stringify(shown, null, 2));
  const rows = shown.steps.flatMap(({ step: name, variables }) => variables.map((one) => cells(name, one)));
  if (rows.length === 0) return console.note("No variables are set at any level.");
  for (const line of renderTable(COLUMNS, rows)) console.out(line);
}

async function projectVariables(listed: ReturnType<typeof listVariables>): Promise<VariableValues> {
  return Object.fromEntries((await listed).map(({ name, value }) => [name, value]));
}

function ofFile(file: string, wanted: string | undefined, project: VariableValues): RunVariables {
  const { plan } = readPipeline(file);
  const names = plan.steps.map(({ name }) => name);
  if (wanted !== undefined && !names.includes(wanted)) {
    throw usageError(`${file} has no step "${wanted}"${didYouMean(wanted, names) || "."}`);
  }
  const steps = plan.steps.filter(({ name }) => wanted === undefined || name === wanted);
  return { project, steps: steps.map((step) => ({ step: step.name, variables: stepVariables(plan, step, project) })) };
}

const COLUMNS = ["STEP", "VARIABLE", "VALUE", "FROM", "OVERRIDES"].map((title) => ({ title }));

function cells(step: string, { name, value, from, overrides }: StepVariable): string[] {
  const before = overrides.map((one) => `${one.from}: ${plainText(one.value)}`).join(", ");
  return [step, name, plainText(value), from, before === "" ? "-" : before];
}
