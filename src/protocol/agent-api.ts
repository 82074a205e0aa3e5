import { z } from "zod";
import { Content } from "./artifacts.ts";
import { CancelFacts } from "./cancel.ts";
import { AgentEvent, FixedImage } from "./events.ts";
import { idOf } from "./ids.ts";
import { Digest, Name } from "./names.ts";
import { Params, Plan, SourceRef } from "./plan.ts";
import { StepState } from "./states.ts";

/** What agents say to the server and hear from it. All paths are below `/api/v1/agent`. */

export const AGENT_API_VERSION = 1;

/** Figures of the lease protocol. Only the database's clock compares against them. */
export const HEARTBEAT_INTERVAL_MS = 5_000;
/** A lease not renewed for this long shows its worker as unreachable. */
export const LEASE_DURATION_MS = 60_000;
/** How long the server may hold a poll open. */
export const POLL_WAIT_MS = 25_000;
/** Most events in one request, and most bytes of log in one request before compression. */
export const EVENTS_PER_REQUEST = 1_000;
export const LOG_BYTES_PER_REQUEST = 4 * 1024 * 1024;

/** Ed25519 public key, the raw 32 bytes in base64url. */
export const PublicKey = z.string().regex(/^[A-Za-z0-9_-]{43}$/, "must be 32 bytes in base64url");

export const Gpu = z.object({ id: z.string(), model: z.string(), memoryBytes: z.int().nonnegative() });

/** The blob cache of a worker: what it holds, and how it did since its agent was started. */
export const CacheState = z.object({
  budgetBytes: z.int().nonnegative(),
  usedBytes: z.int().nonnegative(),
  blobs: z.int().nonnegative(),
  /** Blobs that steps read and that were there, and those that were fetched from the server. */
  hits: z.int().nonnegative(),
  misses: z.int().nonnegative(),
  hitBytes: z.int().nonnegative(),
  fetchedBytes: z.int().nonnegative(),
  evictions: z.int().nonnegative(),
  evictedBytes: z.int().nonnegative(),
});
export type CacheState = z.infer<typeof CacheState>;

/** What a worker can do. Labels are set by whoever made the registration token, not by the agent. */
/** What a worker's own policy file says: SHA-256 of its text, and its rules in short. */
export const PolicyState = z.object({
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  summary: z.array(z.string().max(5_000)).max(20),
});
export type PolicyState = z.infer<typeof PolicyState>;

export const WorkerCapabilities = z.object({
  os: z.string().max(60),
  arch: z.string().max(60),
  cpus: z.number().positive(),
  memoryBytes: z.int().positive(),
  diskFreeBytes: z.int().nonnegative(),
  /** Below this much free space it takes no runs. */
  diskNeededBytes: z.int().nonnegative().optional(),
  /** Of the file system that attempts write to. */
  diskTotalBytes: z.int().nonnegative().optional(),
  gpus: z.array(Gpu).max(64),
  cache: CacheState.optional(),
  /** Left out where it has none. */
  policy: PolicyState.optional(),
  /** Healthy backends by name, with what each probe said. */
  backends: z.record(Name, z.record(z.string(), z.unknown())),
  /** Runs that may be held at once. */
  slots: z.int().min(1).max(1000),
});
export type WorkerCapabilities = z.infer<typeof WorkerCapabilities>;

/** `POST /register`, authorised by a registration token as bearer. */
export const RegisterRequest = z.object({
  name: Name,
  type: z.enum(["local", "custom", "cloud"]),
  publicKey: PublicKey,
  agentVersion: z.string().max(60),
  capabilities: WorkerCapabilities,
});
export type RegisterRequest = z.infer<typeof RegisterRequest>;
export const RegisterResponse = z.object({
  workerId: idOf("worker"),
  installation: z.string(),
  project: z.string(),
  pool: Name,
  labels: z.array(z.string()),
});
export type RegisterResponse = z.infer<typeof RegisterResponse>;

export const LeaseRef = z.object({ run: idOf("run"), epoch: z.int().min(1) });
export type LeaseRef = z.infer<typeof LeaseRef>;

/**
 * `POST /boot`: a process of the agent starts. It fences every earlier boot of the same worker, and says which
 * leases its journal holds. A lease that the server no longer grants comes back in `lost`: stop what runs for it.
 * Runs that the server believes leased to this worker but the journal does not know are queued again.
 */
export const BootRequest = z.object({
  bootId: idOf("boot"),
  agentVersion: z.string().max(60),
  apiVersion: z.int(),
  capabilities: WorkerCapabilities,
  held: z.array(LeaseRef).max(1000),
});
export type BootRequest = z.infer<typeof BootRequest>;
export const BootResponse = z.object({
  worker: z.object({ id: idOf("worker"), name: Name, pool: Name, labels: z.array(z.string()) }),
  installation: z.string(),
  kept: z.array(LeaseRef.extend({ ackedSeq: z.int().nonnegative(), cancel: CancelFacts.nullable() })),
  lost: z.array(LeaseRef),
  serverTime: z.iso.datetime(),
});
export type BootResponse = z.infer<typeof BootResponse>;

/** `POST /heartbeat`: extends the leases named. */
export const HeartbeatRequest = z.object({
  held: z.array(LeaseRef).max(1000),
  capabilities: WorkerCapabilities.optional(),
});
export type HeartbeatRequest = z.infer<typeof HeartbeatRequest>;
export const HeartbeatResponse = z.object({
  extended: z.array(LeaseRef),
  /** No longer ours: stop what runs for it, report nothing more. */
  lost: z.array(LeaseRef),
  cancel: z.array(LeaseRef.extend(CancelFacts.shape)),
  draining: z.boolean(),
});
export type HeartbeatResponse = z.infer<typeof HeartbeatResponse>;

/** `POST /poll`: held open until there is a run to take, a cancel to hear of, or POLL_WAIT_MS passed. */
export const PollRequest = z.object({
  /** Further runs that this agent would take now; 0 only listens for cancels. */
  freeSlots: z.int().min(0).max(1000),
  held: z.array(LeaseRef).max(1000),
  /** Cancels that the agent already knows, so that they do not end the wait again. */
  knownCancels: z.array(idOf("run")).max(1000),
  waitMs: z.int().min(0).max(POLL_WAIT_MS),
});
export type PollRequest = z.infer<typeof PollRequest>;

/** Attempts of one step run that went wrong and may be followed by others, by what they count for. */
export const AttemptFaults = z.object({
  /** For the step's own budget; `oom` says how many of them ran out of memory. */
  own: z.int().nonnegative(),
  oom: z.int().nonnegative(),
  infrastructure: z.int().nonnegative(),
});
export type AttemptFaults = z.infer<typeof AttemptFaults>;

/** What a step run already achieved when a run is handed over; its outputs are committed. */
export const PriorStepRun = z.object({
  stepRun: z.string(),
  state: StepState,
  /** Attempts that the server knows of; the next one is this plus one. */
  attempts: z.int().nonnegative(),
  /** How those ended that did not succeed. */
  faults: AttemptFaults,
  /** Whether it was skipped because of a condition, and not because something failed. */
  byCondition: z.boolean(),
  /** For a batch step that was expanded. */
  items: z.int().nonnegative().nullable(),
  outputs: z.record(Name, Content),
});
export type PriorStepRun = z.infer<typeof PriorStepRun>;

export const Assignment = z.object({
  run: idOf("run"),
  epoch: z.int().min(1),
  number: z.int().min(1),
  project: z.string(),
  plan: Plan,
  params: Params,
  backend: Name.nullable(),
  source: SourceRef.nullable(),
  /** Empty on the first lease, but for the restart of another run. */
  prior: z.array(PriorStepRun),
  /** Whether steps run although their result is known. */
  noCache: z.boolean(),
  /** The very images to run in, by environment: of a restart, and of what an earlier lease of the run settled on. */
  images: z.record(Name, FixedImage).nullable().optional(),
  /** What is left of the run's timeout; null is no limit. */
  timeLeftMs: z.number().nonnegative().nullable(),
  cancel: CancelFacts.nullable(),
});
export type Assignment = z.infer<typeof Assignment>;

export const PollResponse = z.object({
  assignments: z.array(Assignment),
  cancel: z.array(LeaseRef.extend(CancelFacts.shape)),
  lost: z.array(LeaseRef),
});
export type PollResponse = z.infer<typeof PollResponse>;

/** `POST /runs/:run/events` */
export const EventsRequest = z.object({
  epoch: z.int().min(1),
  events: z.array(AgentEvent).min(1).max(EVENTS_PER_REQUEST),
});
export type EventsRequest = z.infer<typeof EventsRequest>;
/** `ackedSeq` is the last event that is durable; an agent may forget everything up to it. */
export const EventsResponse = z.object({ ackedSeq: z.int().nonnegative(), cancel: CancelFacts.nullable() });
export type EventsResponse = z.infer<typeof EventsResponse>;

/**
 * `POST /runs/:run/logs`, `content-type: application/vnd.berth.logs+zstd`: one line of JSON (a LogBatch), `\n`, then
 * the bytes of all chunks one after another; the whole body is one zstd frame. A chunk is accepted when its offset
 * is at most what is stored for its stream; the part already stored is skipped, so a repeat changes nothing. A chunk
 * that would leave a hole is refused with 409 `sequence_gap`, and `details.expected` says where to go on.
 */
export const LOGS_CONTENT_TYPE = "application/vnd.berth.logs+zstd";
export const LogStream = z.enum(["stdout", "stderr", "build"]);
export type LogStream = z.infer<typeof LogStream>;
export const LogChunkHeader = z.object({
  stepRun: z.string().min(1).max(600),
  attempt: z.int().min(1),
  stream: LogStream,
  /** Of the first byte within the stream. */
  offset: z.int().nonnegative(),
  length: z.int().min(1).max(LOG_BYTES_PER_REQUEST),
});
export type LogChunkHeader = z.infer<typeof LogChunkHeader>;
export const LogBatch = z.object({ epoch: z.int().min(1), chunks: z.array(LogChunkHeader).min(1).max(5000) });
export type LogBatch = z.infer<typeof LogBatch>;
export const LogsResponse = z.object({ accepted: z.int() });

/** `POST /runs/:run/blobs/missing`: which of these the project's store does not hold yet. */
export const MissingBlobsRequest = z.object({ epoch: z.int().min(1), digests: z.array(Digest).min(1).max(10_000) });
export const MissingBlobsResponse = z.object({ missing: z.array(Digest) });

/**
 * `PUT /runs/:run/blobs/:digest?epoch=N` streams one blob (`content-length` required); the server hashes while it
 * stores and answers 422 `digest_mismatch` when the bytes are others. `GET` of the same path serves ranges.
 */
export const BlobStored = z.object({ digest: Digest, size: z.int().nonnegative() });
