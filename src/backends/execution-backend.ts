import type { Readable, Writable } from "node:stream";
import type { Usage } from "../protocol/attempt-usage.ts";
import type { Fault } from "../protocol/faults.ts";
import type { Isolation } from "../protocol/plan.ts";
import type { TreeSize } from "../std/tree-size.ts";
import type { ImageRequest, ImageResult } from "./image-request.ts";
import type { KeptImages } from "./kept-images.ts";

/**
 * An execution backend runs single attempts of steps on one platform: Docker Engine, plain processes, Kubernetes…
 * This file is its specification; `contract.ts` is the suite that every implementation passes.
 *
 * Words. An *attempt* is one try of one step run. Its *object* is what the platform keeps for it: a container, a
 * process, a pod. Its *record* is the durable note of how it ended, written outside the object so that it survives
 * the object's deletion.
 *
 * Order of calls. `probe` any time. Per attempt: (`prepare`)? → `submit` → (`observe` | `logs` | `cancel`)* →
 * `release`. The caller has persisted the intent to run an attempt before it calls `prepare` or `submit`. After all
 * attempts of a scope were released, `releaseScope`.
 *
 * Concurrency. All methods may be called at once, for the same attempt too, and from another process than the one
 * that submitted: everything is found again by the deterministic name, nothing that matters is only in memory.
 *
 * Success needs positive evidence for this very attempt: the platform's own exit 0, or the record. An object that is
 * absent and left no record is `lost`, never success. A platform that does not answer is an exception
 * (BackendError, retryable), which means neither lost nor success.
 *
 * Signals. An AbortSignal aborts the call, never the step.
 */
export interface ExecutionBackend {
  readonly name: string;
  /** Connects. The session owns sockets and child handles; disposing it detaches and stops no attempt. */
  open(options: BackendOptions): Promise<BackendSession>;
}

export interface BackendOptions {
  /** Tells Berth installations on one host apart; part of every name and label. */
  readonly installation: string;
  /** A private folder of the agent for whatever the backend must keep; survives restarts. */
  readonly stateFolder: string;
  /** What all steps together may use: the limits of one that names none. Left out for all that the host has. */
  readonly capacity?: { readonly cpus: number; readonly memoryBytes: number } | undefined;
  /** Settings of this backend from the agent's configuration, validated by the backend. */
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface BackendSession extends AsyncDisposable {
  /** Asks the live platform; cheap enough for every heartbeat. */
  probe(signal?: AbortSignal): Promise<Probe>;

  /**
   * Checks a spec against the capabilities, purely. Whatever cannot be honoured is listed; nothing is dropped
   * silently. `submit` of a spec that does not plan throws `spec-unsupported`.
   */
  plan(spec: AttemptSpec): PlanResult;

  /**
   * Makes sure that the image can be used at once: pulls or builds it if it is missing. Reports progress as log bytes.
   * A user's mistake (not found, denied, failing build line) is an outcome with a fault, not an exception. Two calls
   * for the same image at once do the work once.
   */
  prepareImage(request: ImageRequest, onLog: (chunk: Uint8Array) => void, signal: AbortSignal): Promise<ImageResult>;

  /** What `prepareImage` brought to this platform; left out where images are not the worker's to keep or remove. */
  readonly keptImages?: KeptImages;

  /**
   * A hint: create the object, and even start it with user code held back, so that `submit` only says go. User code
   * never runs before `submit`. May do nothing. A prepared attempt that will not run is released like any other.
   */
  prepare(ref: AttemptRef, spec: AttemptSpec): Promise<void>;

  /**
   * Create or adopt. The same ref with the same spec returns the same object however often and from wherever it is
   * called, user code starts at most once; with another spec it throws `spec-conflict`. An object that already
   * exited is adopted as it is, never started again.
   */
  submit(ref: AttemptRef, spec: AttemptSpec): Promise<Handle>;

  /** Finds an attempt again. Null only on a positive "does not exist and left no record"; anything else throws. */
  attach(ref: AttemptRef): Promise<Handle | null>;

  /**
   * The truth about many attempts at once, without side effects. Every handle asked for is in the answer. Terminal
   * observations are sticky: once terminal, always the same.
   */
  observe(handles: readonly Handle[]): Promise<Map<string, Observation | BackendError>>;

  /**
   * Hints: `onHint(name)` when something about an attempt may have changed. May lag, repeat or miss; a caller
   * confirms by `observe` and polls as a net.
   */
  watch(onHint: (name: string) => void): Disposable;

  /**
   * Bytes of one stream from `offset` on, exactly as written, in order. With `follow`, waits for more until the
   * attempt is terminal and everything was read; without, ends at what is there. Readable until `release`.
   */
  logs(handle: Handle, stream: "stdout" | "stderr", options: LogOptions): AsyncIterable<Uint8Array>;

  /**
   * TERM to the whole process tree, and KILL after `graceMs`. The intent is persisted first, so that the end is
   * later reported as our kill and not as the step's own. Idempotent. `submit` after `cancel` starts nothing.
   */
  cancel(handle: Handle, options: CancelOptions): Promise<"requested" | "already-terminal" | "fenced-only">;

  /** What attempts have used so far; those that are over are left out. Cheap enough to be asked each second. */
  stats(handles: readonly Handle[]): Promise<Map<string, Stats>>;

  /**
   * What an attempt wrote that lies outside of its attempt folder, such as the writable layer of its container; null where
   * there is no such place, or no such attempt any more. May have to walk through it: it may stop when it found more than
   * `most`. Asked only where the capability `limits.disk` is true.
   */
  layerUse(handle: Handle, most: TreeSize): Promise<TreeSize | null>;

  /**
   * Removes the object and everything kept for it. Idempotent; "not found" is fine. Without `force` a running
   * attempt throws `still-running`. The attempt folder belongs to the caller and stays.
   */
  release(handle: Handle, options?: { readonly force?: boolean }): Promise<void>;

  /** Removes what attempts of this scope shared, such as a network namespace. Idempotent. */
  releaseScope(scope: string): Promise<void>;

  /**
   * Runs the program of a spec for a person, in the place of the attempt: with all that `submit` would give it, but
   * connected to a terminal. Resolves with its exit code (128 and the number of the signal that ended it) when it has
   * ended, and nothing of it is left then. Here an abort does end the program. Present exactly where the capability
   * `enter` is true; the ref must not be that of an attempt.
   */
  enter?(ref: AttemptRef, spec: AttemptSpec, terminal: Terminal, signal: AbortSignal): Promise<number>;

  /** Every attempt of this installation that the platform still holds. Throws rather than be partial. */
  list(): AsyncIterable<OwnedAttempt>;
}

/** Identity of an attempt. Its object name is derived from it: see object-name.ts. */
export interface AttemptRef {
  readonly run: string;
  /** The step run's key. */
  readonly stepRun: string;
  readonly attempt: number;
  /** Attempts of one scope share what is made once per run, such as a network namespace. */
  readonly scope: string;
}

/**
 * What to run. Everything is explicit: the agent's own environment is never inherited.
 *
 * Files travel by the attempt folder on the agent's host, which the runtime makes before `prepare`:
 *
 *     <folder>/in/…      inputs; the step sees them read-only, as `/berth/in` where the backend can mount
 *     <folder>/out/…     outputs; `/berth/out`
 *     <folder>/tmp/…     scratch; home of the step's user
 *     <folder>/ctl/…     the shim's control files: see ../shim/shim.ts; not for user code
 *
 * A backend that cannot mount tells the step other paths by BERTH_IN, BERTH_OUT and BERTH_DIR, which it adds itself
 * (as does every backend), together with HOME and TMPDIR. `in` may still be filled between `prepare` and `submit`.
 */
export interface AttemptSpec {
  /** Reference or digest that `prepareImage` returned; null where the backend has no images (process). */
  readonly image: string | null;
  /** Exact arguments, never through a shell. */
  readonly argv: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  /** Absolute inside the container; null is the image's own, or a fresh private folder without images. */
  readonly workingFolder: string | null;
  /** Host path of the attempt folder. */
  readonly folder: string;
  /** Further host folders that Berth itself owns, such as the source or the step SDK, mounted read-only. */
  readonly mounts: readonly { readonly host: string; readonly inside: string }[];
  /** Left out for none. */
  readonly secrets?: SpecSecrets;
  /** The one that the attempts of its scope share, none, or one that reaches these destinations and no others. */
  readonly network: "run" | "none" | { readonly allow: readonly string[] };
  /** Left out for the backend's defaults. */
  readonly isolation?: AttemptIsolation;
  readonly limits: {
    readonly cpus: number | null;
    readonly memoryBytes: number | null;
    readonly pids: number;
    /** From and to each disk; left out for no limit. */
    readonly io?: { readonly readBytesPerSecond: number | null; readonly writeBytesPerSecond: number | null };
  };
  /**
   * Ids of the GPUs that the step may use; left out for none. Who else uses them is the caller's business; the backend
   * shows the step these and no others, as far as the platform can.
   */
  readonly gpus?: readonly string[];
  /** Free labels, kept with the object and told by `list`; identity labels are added by the backend. */
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * The secrets of an attempt, in a folder of the host's memory that is made before `prepare` and filled before `submit`:
 * neither the spec nor anything that a platform keeps of it holds a value. See SECRET_LAYOUT.
 */
export interface SpecSecrets {
  /** Host path. */
  readonly folder: string;
  /** Whether some of them are variables. */
  readonly variables: boolean;
}

export const SECRET_LAYOUT = {
  /** A file per secret; the step sees them read-only, as BERTH_SECRETS: `/berth/secrets` where the backend can mount. */
  files: "files",
  /** Holds the file `variables`: `NAME=VALUE`, each ended by a zero byte, which become part of the step's environment. */
  env: "env",
  variables: "env/variables",
} as const;

/** More than the defaults; mounts are resolved by then. What a backend cannot do it refuses. */
export type AttemptIsolation = Omit<Isolation, "mounts">;

export type PlanResult =
  | { readonly ok: true; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly unsupported: readonly { readonly path: string; readonly why: string }[] };

/** Plain JSON, kept in the agent's journal; enough to find the attempt again with nothing in memory. */
export interface Handle {
  readonly backend: string;
  /** The deterministic object name. */
  readonly name: string;
  readonly ref: AttemptRef;
  /** Host path of the attempt folder. */
  readonly folder: string;
}

export interface Observation {
  readonly state: "held" | "starting" | "running" | "terminal";
  /** Whether user code began. Only "never" may be tried again for free. */
  readonly userCode: "never" | "started" | "unknown";
  /** Present exactly when terminal. */
  readonly outcome?: Outcome;
}

export interface Outcome {
  readonly state: "succeeded" | "failed" | "cancelled" | "lost";
  readonly exitCode: number | null;
  /** Such as `SIGKILL`, when a signal ended the step's main process. */
  readonly signal: string | null;
  /** Null exactly when succeeded. */
  readonly fault: Fault | null;
  readonly stats: Stats;
  /** For people: such as a child killed by the memory limit although the step exited 0. */
  readonly warnings: readonly string[];
}

/** Figures from an attempt's start until now, or until its end; what the platform does not tell is left out. */
export interface Stats extends Readonly<Omit<Usage, "receivedBytes" | "sentBytes">> {
  /** Only while it runs: what counts against its limit now, and its processes and threads. */
  readonly memoryBytes?: number;
  readonly pids?: number;
  /** What went through its network meanwhile; also by others, where the network is its scope's. */
  readonly receivedBytes?: number;
  readonly sentBytes?: number;
}

export interface LogOptions {
  readonly offset: number;
  readonly follow: boolean;
  readonly signal?: AbortSignal;
}

/** A limit of the step was exceeded: the stop is its failure, and the reason the code of the fault. */
export type LimitReason = "deadline-run" | "disk-exceeded" | "disk-full";

export interface CancelOptions {
  readonly graceMs: number;
  readonly reason: "user" | "fenced" | "shutdown" | LimitReason;
}

/** Where a person types and reads, or what stands in for one. */
export interface Terminal {
  /** Whether there is a person; else these are pipes, and the two outputs are kept apart. */
  readonly isInteractive: boolean;
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** In characters; null where it is not interactive. */
  size(): { readonly columns: number; readonly rows: number } | null;
  onResize(listener: () => void): Disposable;
  /** Hands every key over as it is, until disposed: for a program that has a terminal of its own on its platform. */
  raw(): Disposable;
}

export interface OwnedAttempt {
  readonly handle: Handle;
  readonly createdAtMs: number;
  readonly running: boolean;
  /** Those of its spec; empty where the object itself is gone. */
  readonly labels: Readonly<Record<string, string>>;
}

export interface Probe {
  readonly healthy: boolean;
  /** When not healthy: what was tried and what the platform said. */
  readonly reason?: string;
  readonly capabilities: Capabilities;
  /** Versions and the like, for people. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

/** Differences between backends are data: callers and the contract suite look here, never at the name. */
export interface Capabilities {
  /** Whether steps run from images, each with its own root file system. */
  readonly images: boolean;
  readonly build: boolean;
  /** Whether `prepare` really creates ahead. */
  readonly prepareAhead: boolean;
  readonly cancel: "tree" | "fence";
  readonly network: { readonly none: boolean; readonly run: boolean; readonly allow: boolean };
  readonly limits: {
    readonly cpu: boolean;
    readonly memory: boolean;
    readonly pids: boolean;
    /** Whether what attempts write can be measured while they run: then whoever runs them holds them to a limit. */
    readonly disk: boolean;
  };
  /** Whether a kill by the memory limit is told apart from other kills. */
  readonly oom: boolean;
  /** Whether `/berth/in`, `/berth/out` exist under these very paths. */
  readonly fixedPaths: boolean;
  readonly readOnlyInputs: boolean;
  /** Whether a step's own root file system can be made read-only. */
  readonly readOnlyRoot: boolean;
  /** Whether steps can be given profiles of AppArmor and SELinux, and runtimes: which ones is the host's matter. */
  readonly profiles: boolean;
  readonly fileSystemIsolation: boolean;
  /** Whether the record tells the true outcome after the object was deleted. */
  readonly recordSurvivesDeletion: boolean;
  readonly stats: boolean;
  /** Whether single GPUs can be given to a step. */
  readonly gpus: boolean;
  /** Whether a person can be put in the place of a step: see `enter`. */
  readonly enter: boolean;
}

export type BackendErrorCode =
  | "unavailable"
  | "spec-unsupported"
  | "spec-conflict"
  | "not-found"
  | "still-running"
  | "cancelled"
  | "internal";

/** The platform did not do what was asked; says nothing about how a step ended. */
export class BackendError extends Error {
  override readonly name = "BackendError";
  readonly code: BackendErrorCode;
  /** The fault that an attempt gets if this error is final. */
  readonly fault: Fault;

  constructor(code: BackendErrorCode, fault: Fault, options: ErrorOptions = {}) {
    super(fault.message, options);
    this.code = code;
    this.fault = fault;
  }

  /** Whether trying the same call again later may work. */
  get retryable(): boolean {
    return this.code === "unavailable" || this.code === "internal";
  }
}
