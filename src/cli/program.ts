import { Command, CommanderError } from "commander";
import { COMMANDS, type CommandEntry } from "./command-table.ts";
import type { CliContext } from "./context.ts";
import { EXIT } from "./exit-code.ts";
import { OVERVIEW } from "./overview.ts";
import { reportError } from "./report-error.ts";

/** Runs one command line and says how the process is to exit. */
export async function runCli(argv: readonly string[], context: CliContext): Promise<number> {
  const result: CommandResult = { exitCode: EXIT.success };
  try {
    const program = await createProgram(argv, context, result);
    await program.parseAsync(unknownHelp(argv) ?? [...argv], { from: "user" });
    return result.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.success : EXIT.usage;
    return reportError(error, context.console);
  }
}

/** `help` of a command that is not there is the command that is not there: the answer names what was meant. */
function unknownHelp(argv: readonly string[]): string[] | null {
  const [help, name] = argv;
  if (help !== "help" || name === undefined || name === "help") return null;
  return name.startsWith("-") || COMMANDS.some((entry) => entry.name === name) ? null : [name];
}

/** Where a command leaves its exit code: one of EXIT, but for a step that is replayed. */
export interface CommandResult {
  exitCode: number;
}

/**
 * Only the command that is called is loaded, the others are just names: `berth help` is answered before the first
 * schema is compiled.
 */
async function createProgram(argv: readonly string[], context: CliContext, result: CommandResult): Promise<Command> {
  const program = new Command("berth")
    .description("Runs pipelines: each step in a fresh container, every output an immutable version.")
    .version(context.version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print help, also of one command")
    .showSuggestionAfterError(true)
    .showHelpAfterError("(see berth help)")
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.console.out(text.replace(/\n$/, "")),
      writeErr: (text) => context.console.note(text.trimEnd()),
    })
    .configureHelp({ helpWidth: Math.min(context.console.columns, 100) })
    .addHelpText("after", OVERVIEW);
  // The launcher's own switch; it reaches the program with the rest and may stand anywhere before the command.
  program.option("--no-install", "install nothing: neither Berth's dependencies nor anything a demo would need");
  const called = calledCommand(argv);
  for (const entry of COMMANDS) await addCommand(program, entry, entry.name === called, context, result);
  return program;
}

async function addCommand(
  program: Command,
  entry: CommandEntry,
  isCalled: boolean,
  context: CliContext,
  result: CommandResult,
): Promise<void> {
  const command = program.command(entry.name).description(entry.summary);
  command.configureHelp({ helpWidth: Math.min(context.console.columns, 100) });
  if (!isCalled) return;
  const { define } = await entry.load();
  define(command, context, result);
  inheritSettings(command, program);
}

/** commander copies settings to subcommands only when it makes them itself, before they were set here. */
function inheritSettings(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inheritSettings(child, command);
}

/** `berth [options] COMMAND …` or `berth help COMMAND`. */
function calledCommand(argv: readonly string[]): string | undefined {
  const [first, second] = argv.filter((argument) => !argument.startsWith("-"));
  return first === "help" ? second : first;
}
