import type { Logger } from "pino";
import type { BackendSession, Capabilities } from "../backends/execution-backend.ts";
import type { BlobCache } from "../runtime/blob-cache.ts";
import type { DiskWatch } from "../runtime/disk-watch.ts";
import type { Permits } from "../std/permits.ts";
import type { AgentClient } from "./agent-client.ts";
import type { AgentConfig } from "./config.ts";
import type { FolderRemover } from "./folder-remover.ts";
import type { HeldRuns } from "./held-runs.ts";
import type { JournalSync } from "./journal-sync.ts";
import type { WorkerPolicy } from "./policy/worker-policy.ts";
import type { ImageScans } from "./scan/image-scans.ts";
import type { StepSlots } from "./step-slots.ts";
import type { Transfers } from "./transfers/transfers.ts";
import type { UsageSampler } from "./usage-sampler.ts";

/** A backend of this worker that could be opened. */
export interface OpenBackend {
  readonly session: BackendSession;
  /** As the last probe said. */
  readonly capabilities: Capabilities;
  readonly healthy: boolean;
}

/** What all runs of one process of the agent share. */
export interface AgentContext {
  readonly home: string;
  readonly installation: string;
  /** Host path of the folder with the step SDKs. */
  readonly sdk: string;
  readonly config: AgentConfig;
  /** What steps may ask of this worker. */
  readonly policy: WorkerPolicy;
  readonly scans: ImageScans;
  readonly client: AgentClient;
  readonly cache: BlobCache;
  /** In order of preference. */
  readonly backends: ReadonlyMap<string, OpenBackend>;
  readonly held: HeldRuns;
  readonly journals: JournalSync;
  readonly stepSlots: StepSlots;
  readonly transfers: Transfers;
  readonly sampler: UsageSampler;
  readonly disk: DiskWatch;
  readonly releasePermits: Permits;
  readonly remover: FolderRemover;
  readonly log: Logger;
}
