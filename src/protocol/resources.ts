import { z } from "zod";
import { CacheState, Gpu, PolicyState } from "./agent-api.ts";
import { Usage } from "./attempt-usage.ts";
import { Problem } from "./errors.ts";
import { AttemptImage, EndSoFar, FixedImage, Phases, RunEvent } from "./events.ts";
import { Fault } from "./faults.ts";
import { idOf } from "./ids.ts";
import { Progress } from "./messages.ts";
import { Digest, Name, Scalar } from "./names.ts";
import { Concurrency, Params, Plan, Priority, SourceRef } from "./plan.ts";
import { ScheduleDefinition } from "./schedules.ts";
import { StartedBy } from "./started-by.ts";
import { AttemptState, RunState, StepState } from "./states.ts";
import { Timeline } from "./timeline.ts";

/** What the public API shows. Times are ISO 8601 in UTC; `null` means "not yet" or "none", never "unknown". */

const Time = z.iso.datetime();

/** One page of a list; `next` is the `cursor` of the page after it, null on the last one. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), next: z.string().nullable() });
}

export const PAGE_LIMIT_DEFAULT = 50;
export const PAGE_LIMIT_MAX = 500;

/** The query of every list. */
export const PageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(PAGE_LIMIT_MAX).default(PAGE_LIMIT_DEFAULT),
  cursor: z.string().max(500).optional(),
});

// Pipelines

export const PipelineSummary = z.object({
  name: Name,
  latestVersion: z.int(),
  createdAt: Time,
  /** Null until the pipeline has run. */
  lastRun: z.object({ id: idOf("run"), number: z.int(), state: RunState, createdAt: Time }).nullable(),
  /** As many of its newest runs as were asked for, the newest first. */
  recent: z.array(
    z.object({
      ...{ id: idOf("run"), number: z.int(), state: RunState },
      ...{ createdAt: Time, startedAt: Time.nullable(), finishedAt: Time.nullable() },
    }),
  ),
  /** Of those of them that succeeded or failed; null where none did. */
  successRate: z.number().nullable(),
});
export type PipelineSummary = z.infer<typeof PipelineSummary>;

export const PipelineVersionSummary = z.object({
  pipeline: Name,
  version: z.int(),
  digest: Digest,
  createdBy: z.string(),
  createdAt: Time,
});
export type PipelineVersionSummary = z.infer<typeof PipelineVersionSummary>;

export const PipelineVersion = PipelineVersionSummary.extend({ source: z.string(), plan: Plan });
export type PipelineVersion = z.infer<typeof PipelineVersion>;

export const ValidateRequest = z.strictObject({
  text: z.string(),
  /** For the positions in messages. */
  fileName: z.string().max(500).optional(),
});
export const ValidateResponse = z.discriminatedUnion("ok", [
  z.object({
    ok: z.literal(true),
    plan: Plan,
    schedules: z.array(ScheduleDefinition),
    warnings: z.array(Problem),
  }),
  z.object({ ok: z.literal(false), problems: z.array(Problem) }),
]);
export type ValidateResponse = z.infer<typeof ValidateResponse>;

// Runs

/** `POST /runs`. `pool`, `labels`, `backend` and `priority` replace what the pipeline file says of them. */
export const CreateRunRequest = z.strictObject({
  /** The text of a pipeline file, or a pipeline that the server knows (its newest version where none is named). */
  pipeline: z.union([z.string(), z.strictObject({ name: Name, version: z.int().min(1).optional() })]),
  fileName: z.string().max(500).optional(),
  params: z.record(z.string(), z.unknown()).default({}),
  source: SourceRef.nullable().optional(),
  pool: Name.optional(),
  labels: z.array(z.string().min(1).max(100)).max(50).optional(),
  backend: Name.optional(),
  priority: Priority.optional(),
  /** Every step runs, also where its result is known. */
  noCache: z.boolean().optional(),
  /** A repeated submission with the same key answers with the run that the first one made. */
  requestKey: z.string().min(1).max(200).optional(),
  /** Answers 409 `unschedulable`, and makes no run, where no registered worker could ever take it. */
  failIfImpossible: z.boolean().optional(),
});
export type CreateRunRequest = z.infer<typeof CreateRunRequest>;
/** What a client writes. */
export type CreateRunInput = z.input<typeof CreateRunRequest>;

/** `POST /runs/:run/restart`. What succeeded is taken over; `from` names a step from which on everything runs again. */
export const RestartRunRequest = z.strictObject({
  from: Name.optional(),
  /** By the newest version of the pipeline, with the source of its newest run, in what images' names stand for now. */
  withLatest: z.boolean().optional(),
  /** As in CreateRunRequest. */
  requestKey: z.string().min(1).max(200).optional(),
  failIfImpossible: z.boolean().optional(),
});
export type RestartRunRequest = z.infer<typeof RestartRunRequest>;

export const CancelRunRequest = z.strictObject({ reason: z.string().max(1000).nullable().optional() });

/** What a worker must have to run each step of a run: of each resource the most that one step asks for; 0 is nothing. */
export const Needs = z.object({
  cpus: z.number().nonnegative(),
  memoryBytes: z.int().nonnegative(),
  gpus: z.int().nonnegative(),
  /** Free when it takes the run. */
  diskBytes: z.int().nonnegative(),
});
export type Needs = z.infer<typeof Needs>;

export const Run = z.object({
  id: idOf("run"),
  pipeline: Name,
  pipelineVersion: z.int(),
  /** Counts per pipeline: `wine#12`. */
  number: z.int(),
  state: RunState,
  params: Params,
  source: SourceRef.nullable(),
  pool: Name,
  labels: z.array(z.string()),
  /** The backend that was asked for; null leaves it to the worker. */
  backend: Name.nullable(),
  /** Of two runs that a worker could take, it takes the one with the higher priority; of equals, the older one. */
  priority: Priority,
  needs: Needs,
  /** The group that it belongs to; `heldBack` while it waits for a place there, before it may wait for a worker. */
  concurrency: Concurrency.pick({ group: true, limit: true }).extend({ heldBack: z.boolean() }).nullable(),
  fault: Fault.nullable(),
  cancel: z.object({ at: Time, by: z.string(), reason: z.string().nullable() }).nullable(),
  /** Who holds the run, or held it when it ended. `unreachable` when its lease was not renewed in time. */
  worker: z.object({ id: idOf("worker"), name: Name, unreachable: z.boolean() }).nullable(),
  /** Leases granted so far; above 1 the run was taken over. */
  epoch: z.int(),
  /** The run that this one goes on from; of the same pipeline version. */
  restartOf: z.object({ id: idOf("run"), number: z.int() }).nullable(),
  createdBy: z.string(),
  startedBy: StartedBy,
  createdAt: Time,
  startedAt: Time.nullable(),
  finishedAt: Time.nullable(),
});
export type Run = z.infer<typeof Run>;

/** Why one worker does not take a run. */
export const WaitReason = z.object({
  code: z.enum(["pool", "label", "backend", "cpu", "memory", "gpu", "disk", "offline", "draining", "busy"]),
  /** `busy` passes by itself, or when the worker is started; `impossible` needs a change of the run or of the workers. */
  kind: z.enum(["busy", "impossible"]),
  /** Goes on after the worker's name: `needs …`, `has …`. */
  message: z.string(),
});
export type WaitReason = z.infer<typeof WaitReason>;

/** What a run waits for that is held back by its group. */
export const WaitingForPlace = Concurrency.pick({ group: true, limit: true }).extend({
  /** The runs that hold the places, the oldest first. */
  holders: z.array(z.object({ id: idOf("run"), name: z.string(), state: RunState })),
  /** Runs that get a place before this one. */
  before: z.int(),
});
export type WaitingForPlace = z.infer<typeof WaitingForPlace>;

/** Why a queued run waits. */
export const Waiting = z.object({
  /** One sentence for people. */
  summary: z.string(),
  /** False when no registered worker could ever take the run as it is: something has to change. */
  possible: z.boolean(),
  /** Only of a run that is held back: workers look at it when it has its place. */
  place: WaitingForPlace.nullable(),
  /** The workers nearest to taking it come first; one without reasons is about to. */
  workers: z.array(z.object({ id: idOf("worker"), name: Name, reasons: z.array(WaitReason) })),
});
export type Waiting = z.infer<typeof Waiting>;

export const RunDetail = Run.extend({
  /** Number of step runs per state. */
  stepCounts: z.record(StepState, z.int()),
  /** Only of a queued run. */
  waiting: Waiting.nullable(),
  /** What its environments stand for, by name, from the first use of each on. */
  images: z.record(Name, FixedImage),
});
export type RunDetail = z.infer<typeof RunDetail>;

/** The answer to a restart. */
export const RestartedRun = RunDetail.extend({
  /** Steps that run again because they are not what they were, with what changed; with `withLatest`. */
  changed: z.array(z.object({ step: Name, what: z.array(z.string()) })),
});
export type RestartedRun = z.infer<typeof RestartedRun>;

export const Attempt = z.object({
  attempt: z.int(),
  state: AttemptState,
  epoch: z.int(),
  worker: z.object({ id: idOf("worker"), name: Name }),
  backend: Name,
  /** The platform's name for it: a container, a process. */
  object: z.string(),
  /** What it ran in; null without images. */
  image: AttemptImage.nullable(),
  /** What it might use; null is no limit. */
  memoryBytes: z.int().nullable(),
  /** How the run had ended before it: of a step that runs after that. */
  runEnd: EndSoFar.nullable(),
  exitCode: z.int().nullable(),
  signal: z.string().nullable(),
  fault: Fault.nullable(),
  phases: Phases,
  timeline: Timeline,
  usage: Usage,
  /** What its step said last of how far it is; null where it said nothing. */
  progress: Progress.nullable(),
  warnings: z.array(z.string()),
  startedAt: Time,
  finishedAt: Time.nullable(),
});
export type Attempt = z.infer<typeof Attempt>;

export const StepRun = z.object({
  key: z.string(),
  step: Name,
  matrix: z.record(Name, Scalar).nullable(),
  /** Number of the batch item; null for a plain step run and for a batch as a whole. */
  item: z.int().nullable(),
  /** Key of the batch that an item belongs to. */
  parent: z.string().nullable(),
  /** Number of items of a batch as a whole, once it was split. */
  items: z.int().nullable(),
  state: StepState,
  /** Whether the run may succeed although it fails (`allow_failure`). */
  mayFail: z.boolean(),
  fault: Fault.nullable(),
  /** The run whose attempt made its outputs, where a restart took them over; then it has no attempts of its own. */
  takenFrom: z.object({ id: idOf("run"), number: z.int() }).nullable(),
  startedAt: Time.nullable(),
  finishedAt: Time.nullable(),
  /** Oldest first. */
  attempts: z.array(Attempt),
});
export type StepRun = z.infer<typeof StepRun>;

export const RunEventPage = z.object({
  items: z.array(RunEvent),
  /** The `after` of the next page. */
  last: z.int(),
  /** Whether nothing more will come: the run has ended and `items` reaches its end. */
  ended: z.boolean(),
});
export type RunEventPage = z.infer<typeof RunEventPage>;

/** One line of `GET /runs/:run/logs` as `application/x-ndjson`. */
export const LogLine = z.object({
  stepRun: z.string(),
  attempt: z.int(),
  epoch: z.int(),
  stream: z.enum(["stdout", "stderr", "build"]),
  /** Of the first byte of `data` within its stream. */
  offset: z.int(),
  at: Time,
  /** Base64: a chunk may end in the middle of a character. */
  data: z.string(),
});
export type LogLine = z.infer<typeof LogLine>;

// Artifacts

/** An artifact version that the producing step run read. */
export const LineageRef = z.object({
  input: Name,
  id: z.int(),
  pipeline: Name,
  step: Name,
  name: Name,
  version: z.int(),
  item: z.string(),
});
export type LineageRef = z.infer<typeof LineageRef>;

/** One immutable version of an artifact; of a batch or matrix step, one item of it. */
export const ArtifactVersion = z.object({
  id: z.int(),
  pipeline: Name,
  step: Name,
  name: Name,
  version: z.int(),
  /** Empty for a plain step; else what tells the items apart, such as `model=forest` or `7`. */
  item: z.string(),
  kind: z.enum(["file", "folder"]),
  digest: Digest,
  size: z.int(),
  fileCount: z.int(),
  fileName: z.string(),
  contentType: z.string(),
  /** How the bytes are written, in a word, where the step said so. */
  format: z.string().nullable(),
  tags: z.record(z.string(), z.string()),
  run: z.object({ id: idOf("run"), number: z.int() }),
  stepRun: z.string(),
  attempt: z.int(),
  worker: z.object({ id: idOf("worker"), name: Name }),
  createdAt: Time,
  /** When the rule that holds lets it go; null for never, as while it is pinned. What is needed stays longer. */
  expiresAt: Time.nullable(),
  pinned: z.object({ at: Time, by: z.string(), reason: z.string().nullable() }).nullable(),
  /** Since when its content is gone, and by which rule or whom; this row stays. */
  expired: z.object({ at: Time, by: z.string() }).nullable(),
});
export type ArtifactVersion = z.infer<typeof ArtifactVersion>;

/** `GET /artifacts/:pipeline/:step/:name/:version` */
export const ArtifactDetail = z.object({
  pipeline: Name,
  step: Name,
  name: Name,
  version: z.int(),
  /** Whether every step run that adds an item to this version has succeeded. `latest` names only such versions. */
  complete: z.boolean(),
  /** In item order; one for a plain step. */
  items: z.array(
    ArtifactVersion.extend({
      inputs: z.array(LineageRef),
      /** The shape of the content, where the step said so: an object or an array, in the step's own words. */
      schema: z.unknown(),
    }),
  ),
  next: z.string().nullable(),
});
export type ArtifactDetail = z.infer<typeof ArtifactDetail>;

// Workers

export const WorkerSummary = z.object({
  id: idOf("worker"),
  name: Name,
  type: z.enum(["local", "custom", "cloud"]),
  pool: Name,
  labels: z.array(z.string()),
  /** `new` has not booted yet; `offline` was not heard of for LEASE_DURATION_MS. */
  state: z.enum(["new", "online", "offline", "draining"]),
  agentVersion: z.string(),
  os: z.string(),
  arch: z.string(),
  cpus: z.number(),
  memoryBytes: z.int(),
  gpus: z.array(Gpu),
  /** As last told; a worker takes no runs below `diskNeededBytes`. */
  diskFreeBytes: z.int(),
  diskNeededBytes: z.int(),
  /** As last told; null for an agent that does not tell it. */
  cache: CacheState.nullable(),
  /** What the worker's own policy file says; null where it has none. */
  policy: PolicyState.nullable(),
  backends: z.array(Name),
  slots: z.int(),
  /** Runs that it holds now. */
  held: z.int(),
  registeredAt: Time,
  lastSeenAt: Time.nullable(),
});
export type WorkerSummary = z.infer<typeof WorkerSummary>;

/** `DELETE /workers/:worker`: the runs that went back to the queue. */
export const RemovedWorker = z.object({ released: z.array(idOf("run")) });
export type RemovedWorker = z.infer<typeof RemovedWorker>;
