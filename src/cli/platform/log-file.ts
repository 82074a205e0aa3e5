import { openSync, renameSync, statSync } from "node:fs";

/** A log above this size is put aside (one generation) when it is opened the next time. */
const LOG_ROTATE_BYTES = 20 * 1024 * 1024;

/** Opens a log for appending, readable by its owner alone. */
export function openLog(file: string): number {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_ROTATE_BYTES) renameSync(file, `${file}.1`);
  return openSync(file, "a", 0o600);
}
