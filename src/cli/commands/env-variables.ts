import type { Command } from "commander";
import { VariableName, VariableValue } from "../../protocol/variables.ts";
import { listVariables, removeVariable, setVariable } from "../api/variables.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatAge } from "../terminal/format-duration.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";

type Options = WithServer<{ json?: boolean }>;

/** `berth env set|ls|rm`: environment variables of the project. */
export function defineEnvVariables(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("set <name=value...>"))
    .description("set variables for the steps of all runs that are created from now on (operators)")
    .option("--json", "print JSON")
    .addHelpText("after", SET_HELP)
    .action((assignments: string[], options: Options) => set(context, assignments, options));
  withServerOptions(parent.command("list").alias("ls"))
    .description("list the project's variables")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth env ls")
    .action((options: Options) => list(context, options));
  withServerOptions(parent.command("remove <name...>").alias("rm"))
    .description("remove variables; runs that are there keep them (operators)")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth env rm REGION")
    .action((names: string[], options: Options) => remove(context, names, options));
}

const SET_HELP = `
A pipeline's own \`env:\` wins over them, and a step's over that. They are shown to everybody who may look at the project:
what nobody should read is a secret (\`berth secret set\`).

Example:
  berth env set REGION=eu-central-1 MIRROR=https://mirror.example.com`;

async function set(context: CliContext, assignments: readonly string[], options: Options): Promise<void> {
  const variables = assignments.map(parseAssignment);
  const { api } = await connect(context, options);
  for (const { name, value } of variables) {
    const variable = await setVariable(api, name, value);
    context.console.out(options.json ? JSON.stringify(variable) : `${name} is set for runs from now on.`);
  }
}

function parseAssignment(text: string): { name: string; value: string } {
  const at = text.indexOf("=");
  if (at < 0) throw usageError(`"${text}" sets nothing.`, "Write it as NAME=value; NAME= sets it to nothing.");
  const [name, value] = [checkedName(text.slice(0, at)), text.slice(at + 1)];
  const checked = VariableValue.safeParse(value);
  if (checked.success) return { name, value };
  throw usageError(`The value of ${name} cannot be set: ${checked.error.issues[0]!.message}.`);
}

function checkedName(name: string): string {
  const checked = VariableName.safeParse(name);
  if (checked.success) return name;
  throw usageError(`"${name}" cannot be the name of a variable: ${checked.error.issues[0]!.message}.`);
}

async function list(context: CliContext, options: Options): Promise<void> {
  const { console } = context;
  const variables = await listVariables((await connect(context, options)).api);
  if (options.json) return console.out(JSON.stringify(variables, null, 2));
  if (variables.length === 0) return console.note("There are no variables. Set one: berth env set NAME=value");
  const rows = variables.map(({ name, value, updatedAt, updatedBy }) => [
    name,
    plainText(value),
    formatAge(Date.now() - Date.parse(updatedAt)),
    plainText(updatedBy),
  ]);
  for (const line of renderTable(COLUMNS, rows)) console.out(line);
}

const COLUMNS = ["VARIABLE", "VALUE", "SET", "BY"].map((title) => ({ title }));

async function remove(context: CliContext, names: readonly string[], options: Options): Promise<void> {
  const checked = names.map(checkedName);
  const { api } = await connect(context, options);
  for (const name of checked) {
    await removeVariable(api, name);
    context.console.out(options.json ? JSON.stringify({ removed: name }) : `${name} is removed.`);
  }
}
