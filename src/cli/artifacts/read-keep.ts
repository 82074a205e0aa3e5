import { DURATION_PATTERN, parseDuration } from "../../pipeline/quantity.ts";
import { KEEP_MS_MAX } from "../../protocol/retention.ts";
import { usageError } from "../cli-error.ts";

/** `14d` or `12h` in milliseconds. */
export function readDuration(text: string): number {
  const ms = DURATION_PATTERN.test(text) ? parseDuration(text) : Number.NaN;
  if (ms >= 0 && ms <= KEEP_MS_MAX) return ms;
  throw usageError(`"${text}" is no time to keep something for.`, "Write it like 12h or 14d; at most 36500d.");
}

/** The same, or `forever`, which is null. */
export function readKeep(text: string): number | null {
  return text === "forever" ? null : readDuration(text);
}
