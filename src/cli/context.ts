import type { ExecutionBackend } from "../backends/execution-backend.ts";
import type { TlsTrust, TrustChoice } from "../std/tls-trust.ts";
import type { Console } from "./terminal/console.ts";

/** What commands get from the composition root: the CLI itself never names a server, an agent or a backend. */
export interface CliContext {
  readonly env: NodeJS.ProcessEnv;
  readonly console: Console;
  readonly version: string;
  /** Folder of the checkout. */
  readonly root: string;
  /** False with `--no-install`. */
  readonly mayInstall: boolean;
  readonly programs: Programs;
}

/** The long-running programs, loaded only when they are started. */
export interface Programs {
  /** Program and arguments that start this very CLI again, as a child. */
  readonly self: readonly [string, ...string[]];
  startServer(options: ServerOptions): Promise<RunningServer>;
  /** It is on its way when this resolves: `ready` says when it takes runs. */
  startAgent(options: AgentOptions): Promise<Running & { readonly ready: Promise<void> }>;
  registerAgent(options: RegistrationOptions): Promise<RegisteredWorker>;
  /** Tells a registered worker by what to know its server from now on. */
  changeTrust(home: string, choice: TrustChoice, server?: string): Promise<RegisteredWorker>;
  /** What can run attempts on this machine, set up as for the worker that lives in this home. */
  loadBackends(home: string): Promise<readonly LocalBackend[]>;
  /** The worker that a folder is registered as, or null. */
  registeredWorker(home: string): Promise<RegisteredWorker | null>;
  /** What a policy file says, in short; throws CliError with every problem where it cannot be followed. */
  checkPolicy(file: string): Promise<{ readonly digest: string; readonly summary: readonly string[] }>;
  /** What looks after the cache of the worker that a folder is registered as. */
  cacheCare(home: string): Promise<CacheCare>;
  /** What looks after the images that runs brought to that worker. */
  imageCare(home: string): Promise<{ readonly care: ImageCare } & AsyncDisposable>;
}

/** See agent/cache-care.ts. */
export interface CacheCare {
  show(): Promise<{
    readonly folder: string;
    readonly blobs: number;
    readonly bytes: number;
    readonly budgetBytes: number;
    readonly neededBytes: number;
    readonly oldestUse: string | null;
  }>;
  verify(): Promise<{ readonly blobs: number; readonly bytes: number; readonly damaged: readonly string[] }>;
  prune(
    bytesMax: number,
  ): Promise<{ readonly removed: number; readonly removedBytes: number; readonly leftBytes: number }>;
}

/** See agent/image-care.ts. */
export interface ImageCare {
  show(): Promise<{
    readonly images: readonly WorkerImage[];
    readonly bytes: number;
    readonly budgetBytes: number;
  }>;
  prune(bytesMax: number): Promise<{
    readonly removed: readonly WorkerImage[];
    readonly removedBytes: number;
    readonly leftBytes: number;
  }>;
}

export interface WorkerImage {
  readonly backend: string;
  readonly id: string;
  readonly names: readonly string[];
  readonly bytes: number;
  readonly lastUsedAt: string;
  readonly kept: string | null;
}

/** A backend, and what it is opened with. */
export interface LocalBackend {
  readonly backend: ExecutionBackend;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** A program that was started: `closed` ends when it ended by itself, rejecting when it could not go on. */
export interface Running {
  readonly closed: Promise<void>;
  /** Ends it in order; repeated calls wait for the same end. */
  close(): Promise<void>;
}

export interface RunningServer extends Running {
  /** Where this machine reaches it. */
  readonly url: string;
  /** Where other machines do; null where they do not. */
  readonly workerUrl: string | null;
  /** Of the authority that it made for itself; null where it has none. */
  readonly caFingerprint: string | null;
}

export interface ServerOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly home: string;
}

export interface AgentOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly home: string;
  /** In place of the address that the worker was registered at; an embedded server may have moved to another port. */
  readonly server?: string;
  /** In place of what the worker was registered with. */
  readonly trust?: TlsTrust;
  /** The worker's policy file; default: BERTH_POLICY, or the one in its home if there is one. */
  readonly policy?: string;
}

export interface RegistrationOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly home: string;
  readonly server: string;
  readonly trust: TrustChoice;
  readonly token: string;
  readonly name: string;
  readonly type: "local" | "custom" | "cloud";
}

export interface RegisteredWorker {
  readonly id: string;
  readonly name: string;
  readonly server: string;
}
