import { readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import { sourcePaths } from "../../environment/required-files.ts";
import { CliError, usageError } from "../cli-error.ts";
import { LANGUAGES, languageOf, PYTHON_HELP } from "../compile/languages.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { type PipelineFile, readPipeline } from "../read-pipeline.ts";
import { problemLine } from "../report-error.ts";

interface Options {
  readonly output?: string;
  readonly check?: boolean;
  readonly python?: string;
}

export function define(command: Command, context: CliContext): void {
  command
    .argument("<file>", `program that describes a pipeline: ${LANGUAGES.map(({ name }) => name).join(" or ")}`)
    .option("-o, --output <file>", "write the pipeline file there; without it, it is printed")
    .option("--check", "write nothing; fail where the output is not current")
    .option("--python <program>", PYTHON_HELP)
    .addHelpText("after", HELP)
    .action((file: string, options: Options) => compile(context, file, options));
}

const HELP = `
Needs no server. Commands that take a pipeline file take such a program as well: berth run pipeline.ts

Examples:
  berth compile pipeline.py
  berth compile pipeline.ts -o pipeline.yaml
  berth compile pipeline.ts -o pipeline.yaml --check`;

function compile({ console }: CliContext, file: string, { output, check = false, ...program }: Options): void {
  if (languageOf(file) === null) {
    const endings = LANGUAGES.flatMap((language) => language.endings).join(", ");
    throw usageError(`${file} is no program that describes a pipeline.`, `Such a program ends in ${endings}.`);
  }
  if (check && output === undefined) throw usageError("--check needs the file to compare with.", "Name it with -o.");
  const pipeline = readPipeline(file, program);
  for (const warning of pipeline.warnings) {
    console.note(`${console.noteStyle.yellow("warning:")} ${problemLine(warning, file)}`);
  }
  if (output === undefined) {
    console.out(pipeline.text.trimEnd());
    return;
  }
  checkPlace(pipeline, output);
  if (check) checkCurrent(pipeline, output);
  else {
    writeFileSync(output, pipeline.text);
    console.note(`${console.noteStyle.green("✓")} ${output}`);
  }
}

/** What a pipeline file names is relative to its folder. */
function checkPlace({ name, folder, plan }: PipelineFile, output: string): void {
  if (dirname(resolve(output)) === folder || sourcePaths(plan).length === 0) return;
  throw usageError(
    `${output} is in another folder than ${name}, and the pipeline takes files of that folder.`,
    "Write it beside the program.",
  );
}

function checkCurrent({ name, text }: PipelineFile, output: string): void {
  let found = "";
  try {
    found = readFileSync(output, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  if (found === text) return;
  throw new CliError(`${output} is not what ${name} describes.`, {
    exitCode: EXIT.usage,
    advice: [`Run berth compile ${name} -o ${output}`],
  });
}
