import type { FaultCode } from "../../src/protocol/faults.ts";

/** What a probe's script exits with when it got where it must not; what it printed says where. */
export const BREACH = 66;

/** An attempt to get out of a step, or to disturb what is beside it, by a step's own code. */
export interface Probe {
  /** Also the name of its step: letters, digits and `-`. */
  readonly name: string;
  readonly attack: string;
  /**
   * Run by `sh` in the image of setup/perl-image.ts. Ends with BREACH where the attack worked. WORLD below is in its
   * environment.
   */
  readonly script: string;
  /**
   * `refused`: the script ends with 0, having seen the refusal. `contained`: the attack may go on, and ends as one of
   * these faults, or by itself; what counts is that nothing else noticed.
   */
  readonly expect: { readonly kind: "refused" } | { readonly kind: "contained"; readonly faults: readonly FaultCode[] };
  readonly resources?: object;
  readonly outputs?: object;
}

/** What probes are told, as an attacker with some luck would know it. */
export interface World {
  /** Of the agent, on the host. */
  readonly AGENT_PID: string;
  /** Folder of the victim's attempt, on the host. */
  readonly VICTIM_FOLDER: string;
  /** In the network of the victim's run. */
  readonly VICTIM_ADDRESS: string;
  /** On which the victim listens, and a listener at the metadata address. */
  readonly PORT: string;
  /** What the victim's step knows, and nobody else may read. */
  readonly CANARY_HALVES: string;
}

/** A probe that calls the system directly: refused where the call fails, whatever it was given. */
export function systemCall(name: string, attack: string, call: SystemCall, args = ""): Probe {
  const number = SYSTEM_CALLS[process.arch === "arm64" ? "arm64" : "x64"][call];
  return refused(
    name,
    attack,
    // Copies: perl gives no constant to a system call.
    `perl -e '@given = (${args}); $r = syscall(${number}, @given); if ($r >= 0) { print "${call} returned $r\\n"; exit ${BREACH} } print "${call}: $!\\n"'`,
  );
}

export function refused(name: string, attack: string, script: string): Probe {
  return { name, attack, script, expect: { kind: "refused" } };
}

/** A command that must fail, and what it must not have done. */
export function mustFail(name: string, attack: string, command: string): Probe {
  return refused(name, attack, `if ( ${command} ); then echo "worked: ${name}"; exit ${BREACH}; fi`);
}

type SystemCall = keyof (typeof SYSTEM_CALLS)["x64"];

const SYSTEM_CALLS = {
  x64: {
    mount: 165,
    umount2: 166,
    pivot_root: 155,
    unshare: 272,
    setns: 308,
    ptrace: 101,
    bpf: 321,
    perf_event_open: 298,
    init_module: 175,
    kexec_load: 246,
    reboot: 169,
    swapon: 167,
    settimeofday: 164,
    open_by_handle_at: 304,
    add_key: 248,
    keyctl: 250,
    userfaultfd: 323,
    sethostname: 170,
    acct: 163,
    syslog: 103,
    quotactl: 179,
    setuid: 105,
    setgroups: 116,
    sched_setscheduler: 144,
    setpriority: 141,
  },
  arm64: {
    mount: 40,
    umount2: 39,
    pivot_root: 41,
    unshare: 97,
    setns: 268,
    ptrace: 117,
    bpf: 280,
    perf_event_open: 241,
    init_module: 105,
    kexec_load: 104,
    reboot: 142,
    swapon: 224,
    settimeofday: 170,
    open_by_handle_at: 265,
    add_key: 217,
    keyctl: 219,
    userfaultfd: 282,
    sethostname: 161,
    acct: 89,
    syslog: 116,
    quotactl: 60,
    setuid: 146,
    setgroups: 159,
    sched_setscheduler: 119,
    setpriority: 140,
  },
} as const;
