/** What a script can rely on. */
export const EXIT = {
  success: 0,
  /** The run ended, and did not succeed. */
  runFailed: 1,
  /** What was to be verified is not proven. */
  notProven: 1,
  /** A check found damage. */
  damaged: 1,
  /** Wrong usage, or an invalid pipeline: nothing was started. */
  usage: 2,
  /** Berth could not do its job. */
  broken: 3,
  /** The group of the run is busy, and its policy is to refuse: the same may work later, as in sysexits.h. */
  busy: 75,
  /** Ctrl-C: 128 + SIGINT, as shells have it. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
