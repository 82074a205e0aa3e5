import type { Command } from "commander";
import { nextTimes } from "../../pipeline/cron.ts";
import type { ScheduleDefinition } from "../../protocol/schedules.ts";
import { PYTHON_HELP } from "../compile/languages.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import type { CommandResult } from "../program.ts";
import { checkPipeline } from "../read-pipeline.ts";
import { problemLine } from "../report-error.ts";
import { formatMoment } from "../terminal/format-moment.ts";

interface Options {
  readonly json?: boolean;
  readonly python?: string;
}

export function define(command: Command, context: CliContext, result: CommandResult): void {
  command
    .argument("<file...>", "pipeline files: YAML, JSON, or programs that describe one")
    .option("--json", "print problems, or the plan, as JSON")
    .option("--python <program>", PYTHON_HELP)
    .addHelpText(
      "after",
      "\nNeeds no server.\n\nExamples:\n  berth validate pipeline.yaml\n  berth validate --json pipeline.yaml | jq .plan",
    )
    .action((files: string[], options: Options) => {
      for (const file of files) if (!validate(context, file, options)) result.exitCode = EXIT.usage;
    });
}

/** Prints what is to say of one file; returns whether it is valid. */
function validate({ console }: CliContext, file: string, { json, ...program }: Options): boolean {
  const checked = checkPipeline(file, program);
  if (json) {
    const { ok } = checked;
    const rest = ok
      ? {
          plan: checked.pipeline.plan,
          schedules: checked.pipeline.schedules,
          warnings: checked.pipeline.warnings,
        }
      : { problems: checked.problems };
    console.out(JSON.stringify({ file, ok, ...rest }, null, 2));
    return ok;
  }
  if (!checked.ok) {
    for (const problem of checked.problems) console.note(`${console.noteStyle.red("✗")} ${problemLine(problem, file)}`);
    return false;
  }
  const { plan, schedules, warnings } = checked.pipeline;
  for (const warning of warnings) console.note(`${console.noteStyle.yellow("!")} ${problemLine(warning, file)}`);
  const steps = plan.steps.length === 1 ? "1 step" : `${plan.steps.length} steps`;
  console.out(`${console.style.green("✓")} ${file}: pipeline ${plan.name}, ${steps}`);
  for (const schedule of schedules) console.out(`  ${scheduleLine(schedule)}`);
  return true;
}

/** Nothing is scheduled by a file alone, but here one sees what would be. */
function scheduleLine(schedule: ScheduleDefinition): string {
  const { name, cron, timezone, enabled } = schedule;
  const [next] = nextTimes(schedule, Date.now(), 1);
  const when = enabled && next !== undefined ? `next ${formatMoment(next, timezone)}` : "disabled";
  return `schedule ${name}: ${cron} ${timezone}, ${when}`;
}
