import type { Command } from "commander";
import { parseParamArguments, resolveParams } from "../pipeline/params.ts";
import type { Problem } from "../protocol/errors.ts";
import type { Params } from "../protocol/plan.ts";
import { CliError } from "./cli-error.ts";
import { EXIT } from "./exit-code.ts";
import type { PipelineFile } from "./read-pipeline.ts";
import { problemLine } from "./report-error.ts";

/** Adds `--param`, for readParams. */
export function withParams(command: Command): Command {
  return command.option(
    "-p, --param <name=value>",
    "value of a parameter; may be repeated",
    (value: string, all: string[] | undefined) => [...(all ?? []), value],
  );
}

/** The values of `--param name=value` arguments, checked against the pipeline; throws with every problem. */
export function readParams(args: readonly string[], { plan }: Pick<PipelineFile, "plan">): Params {
  const parsed = parseParamArguments(plan, args);
  if (!parsed.ok) throw invalidParams(parsed.problems);
  const resolved = resolveParams(plan, parsed.given);
  if (!resolved.ok) throw invalidParams(resolved.problems);
  // Only what was given: defaults are the server's to fill in, so that the run tells one from the other.
  return parsed.given;
}

function invalidParams(problems: readonly Problem[]): CliError {
  const lines = problems.map((problem) => problemLine(problem));
  return new CliError(["The parameters are not valid:", ...lines].join("\n"), {
    exitCode: EXIT.usage,
    advice: ["Give them like this: --param seed=7"],
  });
}
