import { formatDuration } from "./format-duration.ts";

/** `2026-03-29 03:00`, by the clocks of a time zone. */
export function formatMoment(time: number | string, timezone: string): string {
  // Swedish is written like ISO 8601.
  const format = new Intl.DateTimeFormat("sv-SE", { timeZone: timezone, dateStyle: "short", timeStyle: "short" });
  return format.format(new Date(time));
}

/** `2026-03-29 03:00 Europe/Berlin`: where no other zone is called for, by the clocks of whoever reads it. */
export function formatLocal(time: number | string): string {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  return `${formatMoment(time, timeZone)} ${timeZone}`;
}

/** `in 12.3 s`, `in 2 m 05 s`, `in 1 h 03 m`, `in 9 d`; `now` for what is overdue. */
export function formatUntil(milliseconds: number): string {
  if (milliseconds <= 0) return "now";
  const days = milliseconds / 86_400_000;
  // What is kept for 14 days says so on its first day.
  return days >= 2 ? `in ${Math.round(days)} d` : `in ${formatDuration(milliseconds)}`;
}
