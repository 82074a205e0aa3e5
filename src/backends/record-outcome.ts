import { constants } from "node:os";
import { type Fault, fault } from "../protocol/faults.ts";
import type { ShimRecord } from "../shim/shim.ts";
import type { CancelOptions, Observation, Outcome, Stats } from "./execution-backend.ts";
import { endedOutcome, neverStartedOutcome, signalName, stoppedOutcome } from "./outcomes.ts";

/** What a shim's record says, as the terminal observation of its attempt; `argv0` is for the message of a failed exec. */
export function recordObservation(record: ShimRecord, argv0: () => string | null): Observation {
  const userCode = record.started ? "started" : "never";
  return { state: "terminal", userCode, outcome: record.started ? ended(record) : neverStarted(record, argv0) };
}

function ended(record: ShimRecord): Outcome {
  const oomKills = record.oomKills ?? 0;
  // A shell reports a child's KILL as 137: with the limit's own count beside it, that is the main process in effect.
  const killed = record.signal === constants.signals.SIGKILL || record.exit === 128 + constants.signals.SIGKILL;
  const oom = oomKills > 0 && killed;
  const ending = {
    exitCode: record.exit,
    signal: record.signal === null ? null : signalName(record.signal),
    oom,
    stoppedFromOutside: record.stopped,
    stats: statsOf(record),
    warnings: oomKills > 0 && !oom ? [`The memory limit killed ${oomKills} child processes of the step.`] : [],
  };
  return endedOutcome(ending, stopReason(record));
}

function neverStarted(record: ShimRecord, argv0: () => string | null): Outcome {
  const stop = stopReason(record);
  if (record.failed !== null) return neverStartedOutcome(startFault(record.failed, record.errno, argv0));
  if (stop !== null) return stoppedOutcome(stop);
  return neverStartedOutcome(fault("deleted-externally", "The attempt was told to stop before its command began."));
}

function startFault(failed: "exec" | "setup", errno: number, argv0: () => string | null): Fault {
  const evidence = `errno ${errno} (${ERRNO_NAMES.get(errno) ?? "unknown"})`;
  if (failed === "setup") {
    const message = "The step could not be set up: its logs, its standard input or a process could not be made.";
    return fault("stage-io", message, { evidence });
  }
  const name = argv0();
  const command = name === null ? "The command" : `The command ${JSON.stringify(name)}`;
  return fault("bad-entrypoint", `${command} ${EXEC_ERRORS.get(errno) ?? "could not be executed"}.`, { evidence });
}

const EXEC_ERRORS = new Map([
  [constants.errno.ENOENT, "does not exist, or the interpreter that its first line names does not"],
  [constants.errno.EACCES, "is not executable for the step's user"],
  [constants.errno.ENOEXEC, "is not a program: it has no first line like #!/bin/sh"],
  [constants.errno.E2BIG, "could not be executed because arguments and environment together are too large"],
]);

const ERRNO_NAMES = new Map<number, string>(Object.entries(constants.errno).map(([name, number]) => [number, name]));

const STOP_REASONS: readonly string[] = [
  "user",
  "deadline-run",
  "fenced",
  "shutdown",
] satisfies CancelOptions["reason"][];

/** A reason that this version does not know is still a stop by Berth's hand. */
function stopReason({ cancel }: ShimRecord): CancelOptions["reason"] | null {
  if (cancel === null) return null;
  return STOP_REASONS.includes(cancel) ? (cancel as CancelOptions["reason"]) : "user";
}

function statsOf({ cpuUs, maxRssKib, memoryPeakBytes }: ShimRecord): Stats {
  return { cpuMs: cpuUs / 1000, memoryPeakBytes: memoryPeakBytes ?? maxRssKib * 1024 };
}
