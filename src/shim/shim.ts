/**
 * The shim is the small static program that stands between a platform and a step's command: PID 1 of a container, or
 * the parent of a process. `shim.c` beside this file is its source, the binaries per architecture are built from it by
 * `build.sh`. This file is the interface: the control folder, through which agent and shim talk by files alone, so
 * that neither minds when the other, or the engine between them, comes and goes.
 *
 *     berth-shim CTL -- ARGV…      runs one attempt
 *     berth-shim --fenced CTL -- ARGV…   the same, but only behind the fence: see below
 *     berth-shim --variables FILE CTL -- ARGV…   the same, with more variables, which are in no argument: see below
 *     berth-shim … --exec -- ARGV…       becomes the program itself, at the terminal that it has
 *     berth-shim --hold            sets the fence, and holds the network namespace open for others until TERM; with
 *                [tcp|udp:ADDRESS/BITS:PORT]…   only these destinations are let through
 *     berth-shim --pause           does nothing until TERM
 *     berth-shim --launch          starts shims on request: see launcher.ts
 *
 * 1. Waits until `CTL/go` exists; if it does already, there is no wait at all. While waiting the attempt is *held*.
 *    `CTL/cancel` before or together with `CTL/go`, or TERM while held, ends it with a record `started: false`.
 * 2. Creates `CTL/claim` exclusively. Where it exists already, another shim has run this attempt: exits with 125 and
 *    touches nothing. So user code starts at most once, however often a platform starts the shim.
 * 3. Opens `CTL/stdout` and `CTL/stderr` for appending (created if missing), for the step alone.
 * 4. Forks; the child becomes a session leader, gets stdin from /dev/null, stdout and stderr from 3., umask 022, in a container at most 65,536 open files, default
 *    signal handling, and execs ARGV by the PATH of its environment, never through a shell. A failing exec is told
 *    back through a close-on-exec pipe: `started: false`, `failed: "exec"` with the errno.
 * 5. Writes `CTL/end/started` once exec succeeded: the child's pid, and on the next line what counters of the
 *    container stood at: its CPU time in µs, bytes received and bytes sent, each `null` where it is not known.
 * 6. Reaps every child (it is PID 1, or made itself a subreaper). Hands TERM, INT, HUP, QUIT, USR1 and USR2 on: TERM
 *    to everything when it is PID 1, otherwise to the child's process group.
 * 7. Cancelling is writing `CTL/cancel` ("<graceMs> <reason>"): the shim itself sends TERM, and KILL after the grace,
 *    even if the agent died in between. It looks at each TERM it gets, and every half second without one. A shorter
 *    grace in a later version of the file counts; the reason that it saw first stays.
 * 8. When the main child ended: kills everything left (as PID 1 `kill(-1)`, else its descendants), reaps until none is
 *    left, then writes `CTL/end/result.json` by write and rename. Only now the outputs are final.
 * 9. Exits like the child: its code, or 128 + signal. 125 where it could not do its job and left no record.
 *
 * The file of variables holds NAME=VALUE, each ended by a zero byte, at most 2 MiB. It is read once the word to go was
 * given, by the child that becomes the step, and goes over what the environment has of the same names. One that cannot
 * be read is `failed: "setup"`.
 *
 * The fence is a set of routes of the network namespace: to its own network, but for the gateway, and to link-local
 * and metadata addresses there is no way. Who holds the namespace sets them with CAP_NET_ADMIN and then becomes nobody;
 * the shim of a step waits for them, up to ten seconds, before user code runs: `failed: "setup"` with ENETUNREACH.
 *
 * The record is the positive evidence of how an attempt ended, and the only judge of a race between cancelling and
 * ending: what it says never changes. It is not synced: after a power cut the outputs beside it could not be trusted
 * either. User code runs with the same user id and could write a record of its own: it would lie about nothing but
 * itself, as it could by its exit code. What the agent reads here it opens without following links.
 */
export interface ShimRecord {
  /** Whether user code ever ran. */
  readonly started: boolean;
  /** Exit code; null when ended by a signal or never started. */
  readonly exit: number | null;
  /** Signal number that ended the main child, or the shim while held. */
  readonly signal: number | null;
  /** What failed before user code ran: the exec itself, or what the shim had to set up for it. */
  readonly failed: "exec" | "setup" | null;
  /** errno of what failed, else 0. */
  readonly errno: number;
  /** The reason out of `CTL/cancel`, when the shim acted on it before the end. */
  readonly cancel: string | null;
  /** Whether a TERM that was not a cancel came from outside before the end, such as by `docker stop`. */
  readonly stopped: boolean;
  /** Processes killed by the container's memory limit; null where there is no such count. */
  readonly oomKills: number | null;
  /** Highest memory use of the container; null where it is not known. */
  readonly memoryPeakBytes: number | null;
  /** User and system time since user code began: of the whole container, else of all reaped children. */
  readonly cpuUs: number;
  /** Largest resident set of any one of them. */
  readonly maxRssKib: number;
  /** The rest is left out by the shims of earlier versions, and null where the kernel does not tell it. */
  readonly userUs?: number | null;
  readonly systemUs?: number | null;
  /** What its processes read from disks, and what they wrote that had to reach them. */
  readonly readBytes?: number | null;
  readonly writtenBytes?: number | null;
  /** How often one more process or thread was refused because of the limit. */
  readonly pidsRefused?: number | null;
  /** What went through the network of the container since the start: by whoever shares it. */
  readonly receivedBytes?: number | null;
  readonly sentBytes?: number | null;
}

/**
 * File names in the control folder. What the shim tells has a folder of its own, so that watching it for the end is
 * not woken by each line of the logs.
 */
export const CTL = {
  end: "end",
  stdout: "stdout",
  stderr: "stderr",
  go: "go",
  claim: "claim",
  started: "end/started",
  cancel: "cancel",
  record: "end/result.json",
} as const;
