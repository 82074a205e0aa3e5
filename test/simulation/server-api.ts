import type {
  BootRequest,
  BootResponse,
  EventsRequest,
  EventsResponse,
  HeartbeatRequest,
  HeartbeatResponse,
  PollRequest,
  PollResponse,
} from "../../src/protocol/agent-api.ts";
import type { Content } from "../../src/protocol/artifacts.ts";
import type { CacheHit, CacheLookup } from "../../src/protocol/cache.ts";
import type { CancelFacts } from "../../src/protocol/cancel.ts";
import type { RunEvent } from "../../src/protocol/events.ts";
import type { Fault } from "../../src/protocol/faults.ts";
import type { MessagesRequest, MessagesResponse } from "../../src/protocol/messages.ts";
import type { AttemptState, RunState, StepState } from "../../src/protocol/states.ts";
import type { Poller } from "../../src/server/scheduling/claim.ts";

/** What the simulated servers decide with: the memory model, or the real code on a real PostgreSQL. */
export interface ServerApi {
  /** What agents ask. A refusal is a BerthError. */
  readonly agent: {
    boot(from: Poller, request: BootRequest): Promise<BootResponse>;
    heartbeat(from: Poller, request: HeartbeatRequest): Promise<HeartbeatResponse>;
    /** One look; the network's server waits. */
    poll(from: Poller, request: PollRequest): Promise<PollResponse>;
    events(from: Poller, run: string, request: EventsRequest): Promise<EventsResponse>;
    logs(from: Poller, run: string, body: Buffer): Promise<{ accepted: number }>;
    messages(from: Poller, run: string, request: MessagesRequest): Promise<MessagesResponse>;
    missingBlobs(from: Poller, run: string, epoch: number, digests: readonly string[]): Promise<string[]>;
    findCached(from: Poller, run: string, epoch: number, lookups: readonly CacheLookup[]): Promise<(CacheHit | null)[]>;
    putBlob(from: Poller, run: string, epoch: number, digest: string, bytes: Buffer): Promise<void>;
    getBlob(from: Poller, run: string, epoch: number, digest: string): Promise<Buffer>;
  };
  /** What a server does by itself every few seconds. */
  pass(): Promise<void>;
  /** Registers a worker. */
  addWorker(worker: { readonly id: string; readonly name: string; readonly slots: number }): Promise<void>;
  drain(worker: string, draining: boolean): Promise<void>;
  /** Returns the id of the run. */
  submit(pipeline: string): Promise<string>;
  cancel(run: string, facts: CancelFacts): Promise<void>;
  /** The lease of a run as it is now; for the judge, who reads it beside the code that is judged. */
  lease(run: string): Promise<{ readonly state: RunState; readonly epoch: number; readonly worker: string | null }>;
  /** Everything that is known of a run. */
  view(run: string): Promise<RunView>;
}

export interface RunView {
  readonly id: string;
  readonly state: RunState;
  readonly epoch: number;
  readonly fault: Fault | null;
  readonly events: readonly Pick<RunEvent, "seq" | "body">[];
  readonly stepRuns: readonly {
    readonly key: string;
    readonly state: StepState;
    readonly parent: string | null;
    readonly takenFrom: string | null;
  }[];
  readonly attempts: readonly {
    readonly stepRun: string;
    readonly attempt: number;
    readonly epoch: number;
    readonly worker: string;
    readonly state: AttemptState;
  }[];
  readonly versions: readonly VersionView[];
  /** By `epoch stepRun attempt stream`. */
  readonly logs: ReadonlyMap<string, string>;
  /** Metrics of each attempt in order, by `epoch stepRun attempt`. */
  readonly metrics: ReadonlyMap<string, readonly number[]>;
}

export interface VersionView {
  readonly stepRun: string;
  readonly name: string;
  readonly attempt: number;
  readonly content: Content;
  readonly bytes: Buffer;
}

export function metricKey(epoch: number, stepRun: string, attempt: number): string {
  return `${epoch} ${stepRun} ${attempt}`;
}
