import { closeSync, constants, openSync, readSync, writeFileSync } from "node:fs";
import { uptime } from "node:os";
import { join } from "node:path";

/** Longest delay that a timer takes; longer waits are done in several. */
const TIMER_MAX_MS = 2 ** 31 - 1;
const NOTE = "started-at";
/** Digits of a number of seconds. */
const NOTE_MAX_BYTES = 64;

/**
 * Notes when user code was let go, so that an agent that takes over after a crash grants the rest of the time and not
 * all of it again. In seconds since the machine started: a step does not survive that, and no clock change moves it.
 */
export function noteStart(folder: string): void {
  writeFileSync(join(folder, NOTE), String(uptime()), { flag: "wx", mode: 0o600 });
}

/** What is left of the time limit of an attempt that another process let go. */
export function remainingMs(folder: string, timeoutMs: number): number {
  const startedAt = readNote(folder);
  const passedMs = startedAt === null ? 0 : (uptime() - startedAt) * 1000;
  return passedMs < 0 ? timeoutMs : Math.max(0, timeoutMs - passedMs);
}

/** The note lies where the step can reach it, so it is read like anything of the step's; it bounds only the step. */
function readNote(folder: string): number | null {
  try {
    const fd = openSync(join(folder, NOTE), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const bytes = Buffer.alloc(NOTE_MAX_BYTES);
      const seconds = Number(bytes.toString("latin1", 0, readSync(fd, bytes)));
      return Number.isFinite(seconds) ? seconds : null;
    } finally {
      closeSync(fd);
    }
  } catch {
    return null;
  }
}

/** Calls back after `ms` on the monotonic clock, unless disposed before. */
export function deadline(ms: number, onReached: () => void): Disposable {
  const endsAt = performance.now() + ms;
  let timer: NodeJS.Timeout;
  const arm = () => {
    const left = endsAt - performance.now();
    timer = setTimeout(left > TIMER_MAX_MS ? arm : onReached, Math.max(1, Math.min(left, TIMER_MAX_MS)));
  };
  arm();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
