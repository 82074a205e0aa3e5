import { constants } from "node:os";
import { type Fault, fault } from "../protocol/faults.ts";
import type { ShimRecord } from "../shim/shim.ts";
import type { CancelOptions, Observation, Outcome, Stats } from "./execution-backend.ts";
import { knownFigures } from "./known-figures.ts";
import { endedOutcome, neverStartedOutcome, signalName, stoppedOutcome } from "./outcomes.ts";

/** What a shim's record says, as the terminal observation of its attempt; `argv0` is for the message of a failed exec. */
export function recordObservation(record: ShimRecord, argv0: () => string | null): Observation {
  const userCode = record.started ? "started" : "never";
  return { state: "terminal", userCode, outcome: record.started ? ended(record) : neverStarted(record, argv0) };
}

function ended(record: ShimRecord): Outcome {
  const ending = {
    exitCode: record.exit,
    signal: record.signal === null ? null : signalName(record.signal),
    oomKills: record.oomKills ?? 0,
    stoppedFromOutside: record.stopped,
    stats: statsOf(record),
    warnings: [],
    limitsHit: limitsHit(record),
  };
  return endedOutcome(ending, stopReason(record));
}

function limitsHit({ oomKills, pidsRefused }: ShimRecord): string[] {
  const killed = oomKills ?? 0;
  const refused = pidsRefused ?? 0;
  return [
    ...(killed > 0 ? [`The memory limit killed ${count(killed, "process", "processes")} of the step.`] : []),
    ...(refused > 0
      ? [`The step's limit of processes was reached: ${count(refused, "new one was", "new ones were")} refused.`]
      : []),
  ];
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
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
  "disk-exceeded",
  "disk-full",
  "fenced",
  "shutdown",
] satisfies CancelOptions["reason"][];

/** A reason that this version does not know is still a stop by Berth's hand. */
function stopReason({ cancel }: ShimRecord): CancelOptions["reason"] | null {
  if (cancel === null) return null;
  return STOP_REASONS.includes(cancel) ? (cancel as CancelOptions["reason"]) : "user";
}

function statsOf(record: ShimRecord): Stats {
  const { cpuUs, userUs, systemUs, maxRssKib, memoryPeakBytes } = record;
  return knownFigures({
    cpuMs: cpuUs / 1000,
    cpuUserMs: userUs == null ? null : userUs / 1000,
    cpuSystemMs: systemUs == null ? null : systemUs / 1000,
    memoryPeakBytes: memoryPeakBytes ?? maxRssKib * 1024,
    readBytes: record.readBytes,
    writtenBytes: record.writtenBytes,
    receivedBytes: record.receivedBytes,
    sentBytes: record.sentBytes,
  });
}
