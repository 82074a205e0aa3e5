import { z } from "zod";
import { idOf } from "./ids.ts";
import { Name } from "./names.ts";
import { SourceRef } from "./plan.ts";
import { RunState } from "./states.ts";

/** What a pipeline is run by when somebody else calls, and what became of each call. */

const Time = z.iso.datetime();
const Expression = z.string().min(1).max(2_000);

/** How long the old secret of a trigger stays good beside a new one, so that its sender can change it in peace. */
const KEEP_OLD_DEFAULT_SECONDS = 24 * 3600;
const KEEP_OLD_MAX_SECONDS = 30 * 24 * 3600;

/** See pipeline/payload-mapping.ts. */
export const PayloadMapping = z.object({ params: z.record(Name, Expression), when: Expression.nullable() });
export type PayloadMapping = z.infer<typeof PayloadMapping>;

/** A message that a trigger received, by the id that its sender gave it. */
export const Delivery = z.object({
  id: z.string(),
  receivedAt: Time,
  /** `ignored`: the condition of the trigger was not met. `refused`: `message` says why; sent again, it is looked at anew. */
  outcome: z.enum(["started", "ignored", "refused"]),
  message: z.string().nullable(),
  run: z.object({ id: idOf("run"), number: z.int(), state: RunState }).nullable(),
});
export type Delivery = z.infer<typeof Delivery>;

export const TriggerState = z.enum(["active", "paused"]);
export type TriggerState = z.infer<typeof TriggerState>;

export const Trigger = PayloadMapping.extend({
  id: idOf("trigger"),
  name: Name,
  /** Where it is called, below the address of the server. */
  path: z.string(),
  /** What its runs are of: the version and source that it was made with. */
  pipeline: Name,
  pipelineVersion: z.int(),
  source: SourceRef.nullable(),
  state: TriggerState,
  paused: z.object({ at: Time, by: z.string(), reason: z.string().nullable() }).nullable(),
  /** Until when the secret before the last rotation is good as well; null when it is not. */
  oldSecretUntil: Time.nullable(),
  lastDelivery: Delivery.nullable(),
  changedBy: z.string(),
  changedAt: Time,
});
export type Trigger = z.infer<typeof Trigger>;

/** The newest deliveries come first. */
export const TriggerDetail = Trigger.extend({ deliveries: z.array(Delivery) });
export type TriggerDetail = z.infer<typeof TriggerDetail>;

/** The secret is in this answer and nowhere else. */
export const TriggerWithSecret = Trigger.extend({ secret: z.string() });
export type TriggerWithSecret = z.infer<typeof TriggerWithSecret>;

/**
 * `PUT /triggers/:trigger`: the pipeline and mapping of a trigger; its address and secret stay. The source belongs to the
 * pipeline; `params` and `when` stay what they are where they are not given.
 */
export const PutTriggerRequest = z.strictObject({
  /** The text of a pipeline file. */
  pipeline: z.string(),
  fileName: z.string().max(500).optional(),
  source: SourceRef.nullable().optional(),
  params: z.record(Name, Expression).optional(),
  when: Expression.nullable().optional(),
});
export type PutTriggerRequest = z.infer<typeof PutTriggerRequest>;

export const CreateTriggerRequest = PutTriggerRequest.extend({
  name: Name,
  params: z.record(Name, Expression).default({}),
  when: Expression.nullable().default(null),
});
export type CreateTriggerRequest = z.infer<typeof CreateTriggerRequest>;

export const RotateTriggerRequest = z.strictObject({
  /** 0: the old secret is good for nothing at once. */
  keepOldSeconds: z.int().min(0).max(KEEP_OLD_MAX_SECONDS).default(KEEP_OLD_DEFAULT_SECONDS),
});

/** What a sender is told. */
export const HookAnswer = z.object({
  outcome: z.enum(["started", "ignored"]),
  /** Whether this message had come before: then the run is the one of that time. */
  repeated: z.boolean(),
  run: z.object({ id: idOf("run"), pipeline: Name, number: z.int(), state: RunState }).nullable(),
});
export type HookAnswer = z.infer<typeof HookAnswer>;
