import type { Plan } from "../protocol/plan.ts";
import type { ScheduleDefinition } from "../protocol/schedules.ts";
import type { Compilation } from "./compilation.ts";
import { checkCron, checkTimeZone } from "./cron.ts";
import { resolveParams } from "./params.ts";
import { type Path, quote } from "./problem.ts";

/**
 * The schedules of a file. They are no part of the plan: another time of day is no other pipeline, and a worker has
 * nothing to do with it.
 */
export function compileSchedules(params: Plan["params"], compilation: Compilation): ScheduleDefinition[] {
  return Object.entries(compilation.file.schedules ?? {}).map(([name, given]) => {
    const path = ["schedules", name];
    const spec = typeof given === "string" ? { cron: given } : given;
    const wrong = checkCron(spec.cron);
    const cronPath = typeof given === "string" ? path : [...path, "cron"];
    if (wrong !== null) compilation.problems.add(cronPath, `${quote(spec.cron)} ${wrong}`);
    const { timezone = "UTC", overlap = "skip", catchUp = "last" } = spec;
    const unknown = checkTimeZone(timezone);
    if (unknown !== null) compilation.problems.add([...path, "timezone"], `${quote(timezone)} ${unknown}`);
    checkParams(path, spec.params ?? {}, params, compilation);
    if (catchUp === "all" && (overlap === "skip" || overlap === "cancel_older")) {
      compilation.warnings.add(
        [...path, "catchUp"],
        `with overlap: ${overlap}, only one of the times that are caught up comes to its end; overlap: queue runs all of them`,
      );
    }
    const { cron, enabled = true } = spec;
    return { name, cron: cron.trim(), timezone, overlap, catchUp, params: spec.params ?? {}, enabled };
  });
}

/** Checked here, so that nobody has to wait for the night to hear of it. */
function checkParams(
  path: Path,
  given: ScheduleDefinition["params"],
  params: Plan["params"],
  { problems, isDamaged }: Compilation,
): void {
  const resolved = resolveParams({ params }, given);
  if (resolved.ok) return;
  for (const { path: where, message } of resolved.problems) {
    const name = where.replace(/^params\./, "");
    if (isDamaged("params", name)) continue;
    if (Object.hasOwn(given, name)) problems.add([...path, "params", name], message);
    else problems.add(path, `the parameter ${quote(name)} ${message}, by "params" of the schedule`, "entry");
  }
}
