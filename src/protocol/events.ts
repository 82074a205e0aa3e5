import { z } from "zod";
import { ConsumedInput, Content, ProducedOutput } from "./artifacts.ts";
import { Usage } from "./attempt-usage.ts";
import { CacheRecord } from "./cache.ts";
import { Fault } from "./faults.ts";
import { idOf } from "./ids.ts";
import { Name } from "./names.ts";

const StepRun = z.string().min(1).max(600);
const Attempt = z.int().min(1).max(10_000);

/** Milliseconds that an attempt spent per phase, measured on the agent's monotonic clock. */
export const Phases = z.object({
  image: z.number().nonnegative().optional(),
  inputs: z.number().nonnegative().optional(),
  running: z.number().nonnegative().optional(),
  outputs: z.number().nonnegative().optional(),
});
export type Phases = z.infer<typeof Phases>;

/** What an attempt waited for before it began: for room on its worker, in a pause, or for what its image is made of. */
export const AttemptWait = z.object({ queueMs: z.number().nonnegative(), imageMs: z.number().nonnegative() });
export type AttemptWait = z.infer<typeof AttemptWait>;

/** What an attempt runs in: what its backend knows the image by, and what it is known by everywhere. */
export const AttemptImage = z.object({ id: z.string().max(1000), digest: z.string().max(1000) });
export type AttemptImage = z.infer<typeof AttemptImage>;

/** The image that an environment stands for all through one run. */
export const FixedImage = AttemptImage.extend({
  /** `registry.example.com/tool@sha256:…`, by which a registry gives this very image; left out where none does. */
  reference: z.string().max(1000).optional(),
});
export type FixedImage = z.infer<typeof FixedImage>;

/** An environment can be used; from here on it is this image, all through the run. */
const ImageReady = z.object({
  type: z.literal("image.ready"),
  environment: Name,
  image: z.string(),
  digest: z.string().nullable(),
  /** See FixedImage. */
  reference: z.string().max(1000).optional(),
  cached: z.boolean(),
  durationMs: z.number().nonnegative(),
});
type ImageReady = z.infer<typeof ImageReady>;

/** What an image that is ready is fixed as. */
export function fixedImage({ image, digest, reference }: ImageReady): FixedImage {
  return { id: image, digest: digest ?? image, ...(reference !== undefined && { reference }) };
}

/** How a run ended so far, as the steps see it that run after that. */
export const EndSoFar = z.object({ state: z.enum(["succeeded", "failed", "cancelled"]), fault: Fault.nullable() });
export type EndSoFar = z.infer<typeof EndSoFar>;

/**
 * What an agent reports of a run, in order. Events of one run and epoch are numbered from 1 without gaps; sending
 * one twice changes nothing. `at` is the agent's wall clock, for people only: it decides nothing.
 */
export const AgentEventBody = z.discriminatedUnion("type", [
  z.object({ type: z.literal("run.started"), backend: Name }),
  ImageReady,
  /** A batch step's input was split: `items` step runs exist from here on. */
  z.object({ type: z.literal("step.expanded"), stepRun: StepRun, items: z.int().min(0).max(1_000_000) }),
  z.object({
    type: z.literal("attempt.started"),
    stepRun: StepRun,
    attempt: Attempt,
    backend: Name,
    /** The deterministic name of the container, pod or process. */
    object: z.string(),
    /** How long its user code may run. */
    timeoutMs: z.int().positive().nullable().optional(),
    /** What is needed to make it again beside what is known of its run; null without images, and without a limit. */
    image: AttemptImage.nullable().optional(),
    memoryBytes: z.int().positive().nullable().optional(),
    /** Of a step of a later phase. */
    runEnd: EndSoFar.nullable().optional(),
    waited: AttemptWait.optional(),
    /** Of a step whose result may be taken again. */
    cache: CacheRecord.optional(),
  }),
  /** The result of an earlier run was taken: the step run has succeeded without an attempt. */
  z.object({
    type: z.literal("step.cached"),
    stepRun: StepRun,
    cache: CacheRecord,
    from: z.object({ run: idOf("run"), number: z.int() }),
    outputs: z.array(z.object({ name: Name, content: Content })),
  }),
  /**
   * The end of an attempt. With `succeeded`, this event *is* the commit: in one transaction the server checks that
   * every blob is there, names the immutable versions and marks the step run succeeded.
   */
  z.object({
    type: z.literal("attempt.finished"),
    stepRun: StepRun,
    attempt: Attempt,
    state: z.enum(["succeeded", "failed", "cancelled", "lost"]),
    /** What becomes of the step run; null when another attempt follows. */
    stepState: z.enum(["succeeded", "failed", "cancelled"]).nullable(),
    /** When that one follows, and how much memory it gets if that is more than this one had. */
    retry: z.object({ delayMs: z.number().nonnegative(), memoryBytes: z.int().positive().nullable() }).optional(),
    exitCode: z.int().nullable(),
    signal: z.string().nullable(),
    fault: Fault.nullable(),
    phases: Phases,
    usage: Usage,
    outputs: z.array(ProducedOutput),
    inputs: z.array(ConsumedInput),
    warnings: z.array(z.string()),
  }),
  /** The end of a step run without an attempt of its own: skipped, cancelled early, or a batch as a whole. */
  z.object({
    type: z.literal("step.finished"),
    stepRun: StepRun,
    state: z.enum(["succeeded", "failed", "cancelled", "skipped"]),
    fault: Fault.nullable(),
  }),
  z.object({
    type: z.literal("run.finished"),
    state: z.enum(["succeeded", "failed", "cancelled"]),
    fault: Fault.nullable(),
  }),
]);
export type AgentEventBody = z.infer<typeof AgentEventBody>;

export const AgentEvent = z.object({ seq: z.int().min(1), at: z.iso.datetime(), body: AgentEventBody });
export type AgentEvent = z.infer<typeof AgentEvent>;

/** Events that the server adds by itself to a run's stream. */
export const ServerEventBody = z.discriminatedUnion("type", [
  z.object({ type: z.literal("run.created"), by: z.string() }),
  /** It waits for a place in its group, and later gets it. */
  z.object({ type: z.literal("run.held_back"), group: z.string(), limit: z.int() }),
  z.object({ type: z.literal("run.admitted"), group: z.string() }),
  z.object({ type: z.literal("run.leased"), worker: z.string(), workerName: z.string(), epoch: z.int() }),
  z.object({ type: z.literal("run.released"), epoch: z.int(), reason: z.string() }),
  z.object({ type: z.literal("run.cancel_requested"), by: z.string(), reason: z.string().nullable() }),
]);
export type ServerEventBody = z.infer<typeof ServerEventBody>;

/** One line of a run's event stream, as clients see it; `seq` grows by one per run and is the SSE id. */
export const RunEvent = z.object({
  seq: z.int(),
  at: z.iso.datetime(),
  body: z.union([
    AgentEventBody,
    ServerEventBody,
    z.object({ type: z.literal("run.finished"), state: z.string(), fault: Fault.nullable() }),
  ]),
});
export type RunEvent = z.infer<typeof RunEvent>;
