import { Cron } from "croner";
import { closest } from "./suggest.ts";

/**
 * When a schedule is due: five fields of cron (minute, hour, day, month, weekday) or a nickname such as `@daily`, read in
 * a time zone. Where clocks are changed, a time of day that does not exist is due at the change, and one that exists
 * twice is due the first time; what recurs within the day (with a `*` or a step in the minute or hour) just goes on by its
 * pause. Days and weekdays that are both restricted count if either fits, as in every cron.
 */
export interface Recurrence {
  readonly cron: string;
  /** A name of the IANA database, such as `Europe/Berlin`. */
  readonly timezone: string;
}

const FIELDS = ["minute", "hour", "day of the month", "month", "day of the week"] as const;
const NICKNAMES = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/** What is wrong with an expression, in words with what to do; null when it is one that is due some day. */
export function checkCron(expression: string): string | null {
  const text = expression.trim();
  if (text.startsWith("@")) {
    if (NICKNAMES.includes(text.toLowerCase())) return null;
    const meant = closest(text, NICKNAMES);
    return `is no nickname of cron${meant === null ? `; there are ${NICKNAMES.join(", ")}` : `, did you mean "${meant}"?`}`;
  }
  const fields = text.split(/\s+/).filter((field) => field !== "");
  if (fields.length !== FIELDS.length) {
    return `has ${fields.length} ${fields.length === 1 ? "field" : "fields"}; cron has five (${FIELDS.join(", ")}), such as "0 3 * * *" for 03:00 each day`;
  }
  if (text.includes("?")) return 'holds "?", which would be the time at which it is read; write "*" for any';
  try {
    if (timesOf({ cron: text, timezone: "UTC" }).nextRun() !== null) return null;
  } catch (error) {
    return `is no cron expression: ${reasonOf(error as Error)}`;
  }
  return "never comes: there is no such date; look at its day and month";
}

/** What is wrong with the name of a time zone; null when it is one. */
export function checkTimeZone(name: string): string | null {
  try {
    Intl.DateTimeFormat("en", { timeZone: name });
    return null;
  } catch {
    const meant = closest(name, Intl.supportedValuesOf("timeZone")) ?? closestCity(name);
    return `is no time zone${meant === null ? ', such as "UTC" or "Europe/Berlin"' : `, did you mean "${meant}"?`}`;
  }
}

/** The next `count` due times after a moment, in milliseconds since 1970; fewer where there are no more. */
export function nextTimes(recurrence: Recurrence, afterMs: number, count: number): number[] {
  return timesOf(recurrence)
    .nextRuns(count, new Date(afterMs))
    .map((time) => time.getTime());
}

/** The newest `count` due times up to and with a moment, oldest first. */
export function newestTimes(recurrence: Recurrence, untilMs: number, count: number): number[] {
  return timesOf(recurrence)
    .previousRuns(count, new Date(untilMs + 1))
    .map((time) => time.getTime())
    .reverse();
}

/** Paused: nothing of it ever waits or runs by itself. */
function timesOf({ cron, timezone }: Recurrence): Cron {
  return new Cron(cron, { timezone, paused: true, mode: "5-part", fixedTimeRule: "no-wildcard" });
}

/** The words of the library without its names for its own parts. */
function reasonOf({ message }: Error): string {
  const text = message.replace(/^Cron[A-Za-z]*: /, "");
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** `Berlin` or `europe/berlni`, of which the city is nearest. */
function closestCity(name: string): string | null {
  const zones = new Map(Intl.supportedValuesOf("timeZone").map((zone) => [zone.replace(/^.*\//, ""), zone]));
  const city = closest(name.replace(/^.*\//, "").replaceAll(" ", "_"), zones.keys());
  return city === null ? null : zones.get(city)!;
}
