import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { generateDockerfile } from "../../environment/dockerfile.ts";
import type { Environment } from "../../protocol/plan.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { type PipelineFile, readPipeline } from "../read-pipeline.ts";
import { defineEnvShow } from "./env-show.ts";
import { defineEnvVariables } from "./env-variables.ts";

interface Options {
  readonly environment?: string;
  readonly json?: boolean;
}

export function define(command: Command, context: CliContext): void {
  command
    .command("dockerfile <file>")
    .description("print the Dockerfile that a pipeline file's environment becomes")
    .option("-e, --environment <name>", "which one, where the file has several")
    .option("--json", "print all of them as JSON, by name")
    .addHelpText("after", "\nNeeds no server.\n\nExample:\n  berth env dockerfile pipeline.yaml > Dockerfile")
    .action((file: string, options: Options) => printDockerfile(context, file, options));
  defineEnvVariables(command, context);
  defineEnvShow(command, context);
}

function printDockerfile({ console }: CliContext, file: string, options: Options): void {
  const pipeline = readPipeline(file);
  if (options.json) {
    const all = Object.entries(pipeline.plan.environments).filter(([, environment]) => environment.kind !== "image");
    const texts = all.map(([name, environment]) => [name, dockerfileOf(pipeline, name, environment)]);
    console.out(JSON.stringify(Object.fromEntries(texts), null, 2));
    return;
  }
  const name = chooseEnvironment(pipeline, options.environment);
  console.out(dockerfileOf(pipeline, name, pipeline.plan.environments[name]!).trimEnd());
}

function chooseEnvironment({ plan, name: file }: PipelineFile, asked: string | undefined): string {
  const names = Object.keys(plan.environments);
  if (asked === undefined && names.length === 1) return names[0]!;
  const known = `${file} has ${names.length === 0 ? "none" : names.join(", ")}.`;
  if (asked === undefined) throw usageError("Which environment? Name it with --environment.", known);
  if (!names.includes(asked)) throw usageError(`There is no environment "${asked}".`, known);
  return asked;
}

/** The generated file, or the user's own. */
function dockerfileOf({ folder }: PipelineFile, name: string, environment: Environment): string {
  switch (environment.kind) {
    case "recipe":
      return generateDockerfile(environment);
    case "dockerfile":
      return readFileSync(join(folder, environment.dockerfile), "utf8");
    case "image":
      throw usageError(`The environment ${name} is the ready image ${environment.image}: there is nothing to build.`);
  }
}
