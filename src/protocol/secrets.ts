import { z } from "zod";
import { idOf } from "./ids.ts";
import { Name } from "./names.ts";

/** Secrets of a project: what people say about them, and how an agent gets what a step names. No answer holds a value. */

/** A name becomes a file and, on request, an environment variable. */
export const SECRET_NAME_PATTERN = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
export const SECRET_NAME_RULE =
  "A secret's name starts with a letter or '_' and holds at most 128 letters, digits or '_'.";
export const SecretName = z
  .string()
  .regex(SECRET_NAME_PATTERN, "must start with a letter or '_' and hold at most 128 letters, digits or '_'");

/** Of one value: room for keys, certificates and configuration files; what is larger is an artifact, encrypted. */
export const SECRET_VALUE_MAX_BYTES = 64 * 1024;

/** Any bytes, at least one, in base64. */
export const SecretValue = z
  .base64()
  .min(1, "must not be empty")
  .max(Math.ceil(SECRET_VALUE_MAX_BYTES / 3) * 4, "must be at most 64 KiB")
  .refine((text) => Buffer.byteLength(text, "base64") <= SECRET_VALUE_MAX_BYTES, "must be at most 64 KiB");

/** Pipelines whose runs may have it; null: all of the project. They need not be there yet. */
const AllowedPipelines = z.array(Name).min(1).max(100).nullable();

const Time = z.iso.datetime();

export const SecretVersion = z.object({
  version: z.int().min(1),
  /** What steps get; the other one that may be there is the one before it. */
  current: z.boolean(),
  createdAt: Time,
  createdBy: z.string(),
});

export const Secret = z.object({
  name: SecretName,
  /** The newest comes first. */
  versions: z.array(SecretVersion),
  pipelines: AllowedPipelines,
  createdAt: Time,
  createdBy: z.string(),
  /** When a step last got it; null: never. */
  lastUsedAt: Time.nullable(),
});
export type Secret = z.infer<typeof Secret>;

/** That an attempt was given a value. */
export const SecretAccess = z.object({
  at: Time,
  run: idOf("run"),
  stepRun: z.string(),
  attempt: z.int(),
  worker: z.string(),
  version: z.int(),
});
export type SecretAccess = z.infer<typeof SecretAccess>;

/** The newest accesses come first. */
export const SecretDetail = Secret.extend({ accesses: z.array(SecretAccess) });
export type SecretDetail = z.infer<typeof SecretDetail>;

/**
 * `POST /secrets` makes a secret, or gives one that is there a new value and removes the old one. Without `pipelines` a new
 * secret is for all of them, and one that is there stays for whom it was.
 */
export const SetSecretRequest = z.strictObject({
  name: SecretName,
  value: SecretValue,
  pipelines: AllowedPipelines.optional(),
});
export type SetSecretRequest = z.infer<typeof SetSecretRequest>;

/** `POST /secrets/:secret/rotate`: a new version of a secret that is there; the old one is removed, or kept as the previous. */
export const RotateSecretRequest = z.strictObject({ value: SecretValue, keepPrevious: z.boolean().default(false) });
export type RotateSecretRequest = z.infer<typeof RotateSecretRequest>;

/** `PUT /secrets/:secret/pipelines`. */
export const AllowPipelinesRequest = z.strictObject({ pipelines: AllowedPipelines });
export type AllowPipelinesRequest = z.infer<typeof AllowPipelinesRequest>;

/**
 * `POST /agent/runs/:run/secrets`: the values that the run's plan names for the step of this attempt; the request cannot
 * ask for others. `recipient` is an X25519 public key, raw, made for this request; see sealed-box.ts.
 */
export const StepSecretsRequest = z.strictObject({
  epoch: z.int().min(1),
  stepRun: z.string().min(1).max(600),
  attempt: z.int().min(1),
  /** Those for the build of its environment's image, which this attempt waits for, in place of its own. */
  build: z.boolean().optional(),
  recipient: z.base64().refine((text) => Buffer.byteLength(text, "base64") === 32, "must be 32 bytes in base64"),
});
export type StepSecretsRequest = z.infer<typeof StepSecretsRequest>;

export const StepSecretsResponse = z.object({ sealed: z.base64() });
export type StepSecretsResponse = z.infer<typeof StepSecretsResponse>;

/** What is in the box, as JSON. */
export const StepSecretValues = z.strictObject({ values: z.record(SecretName, z.base64()) });
export type StepSecretValues = z.infer<typeof StepSecretValues>;

/** `POST /secrets/rekey`: how many values of the project are encrypted anew, and what is left under keys that are older. */
export const RekeyResponse = z.object({
  /** Names the key that is the newest. */
  key: z.string(),
  values: z.int(),
  triggers: z.int(),
  /** Projects that have something under another key still: only at 0 may an old key be taken away. */
  projectsLeft: z.int().nonnegative(),
});
export type RekeyResponse = z.infer<typeof RekeyResponse>;
