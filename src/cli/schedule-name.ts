import { NAME_PATTERN } from "../protocol/names.ts";
import type { ScheduleName } from "./api/schedules.ts";
import { usageError } from "./cli-error.ts";

/** `wine/nightly` */
export function parseScheduleName(text: string): ScheduleName {
  const [pipeline, schedule, ...more] = text.split("/") as [string, ...string[]];
  if (schedule === undefined || more.length > 0 || ![pipeline, schedule].every((name) => NAME_PATTERN.test(name))) {
    throw usageError(`"${text}" does not name a schedule.`, "It is named by pipeline and schedule, like wine/nightly.");
  }
  return { pipeline, schedule };
}
