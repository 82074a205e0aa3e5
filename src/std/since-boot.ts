import { uptime } from "node:os";

/**
 * Whether a file's time lies within this run of the machine. What was written before may have lost its bytes in a
 * power cut although its name was kept, unless it was synced. A time in the future comes from a clock that was wrong.
 */
export function isSinceBoot(timeMs: number, marginMs = 0): boolean {
  const now = Date.now();
  return timeMs <= now && timeMs >= now - uptime() * 1000 + marginMs;
}
