import { z } from "zod";
import { idOf } from "./ids.ts";
import { Name } from "./names.ts";

/** Tokens as the public API shows them: never the secret itself, except once in the answer that makes it. */

const Time = z.iso.datetime();
const Role = z.enum(["admin", "operator", "developer", "viewer"]);
const Labels = z
  .array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.=/-]{0,99}$/, "must be like `gpu` or `zone=a`"))
  .max(50);

const YEAR_SECONDS = 366 * 24 * 3600;
/** Long enough to paste a token into a terminal, short enough that a forgotten one is worth nothing. */
export const REGISTRATION_TOKEN_LIFETIME_SECONDS = 15 * 60;
const REGISTRATION_TOKEN_LIFETIME_MAX_SECONDS = 24 * 3600;

export const ApiToken = z.object({
  id: idOf("apiToken"),
  name: z.string(),
  role: Role,
  /** Null for a token of the whole installation. */
  project: z.string().nullable(),
  createdBy: z.string(),
  createdAt: Time,
  expiresAt: Time.nullable(),
  /** To the minute. */
  lastUsedAt: Time.nullable(),
});
export type ApiToken = z.infer<typeof ApiToken>;

/** `POST /tokens` */
export const CreateTokenRequest = z.strictObject({
  name: Name,
  role: Role,
  /** Of the whole installation: only for an administrator of the whole installation, and only with the role admin. */
  installation: z.boolean().default(false),
  /** Null never expires. */
  lifetimeSeconds: z
    .int()
    .min(1)
    .max(10 * YEAR_SECONDS)
    .nullable()
    .default(null),
});
export const CreatedToken = ApiToken.extend({ token: z.string() });
export type CreatedToken = z.infer<typeof CreatedToken>;

export const RegistrationToken = z.object({
  id: idOf("registrationToken"),
  state: z.enum(["usable", "used", "expired", "revoked"]),
  pool: Name,
  labels: z.array(z.string()),
  createdBy: z.string(),
  createdAt: Time,
  expiresAt: Time,
  /** The worker that it registered. */
  usedBy: idOf("worker").nullable(),
});
export type RegistrationToken = z.infer<typeof RegistrationToken>;

/** `POST /registration-tokens`: which worker it will be is the agent's to say, what it may take is said here. */
export const CreateRegistrationTokenRequest = z.strictObject({
  pool: Name.default("default"),
  labels: Labels.default([]),
  lifetimeSeconds: z
    .int()
    .min(1)
    .max(REGISTRATION_TOKEN_LIFETIME_MAX_SECONDS)
    .default(REGISTRATION_TOKEN_LIFETIME_SECONDS),
});
export const CreatedRegistrationToken = RegistrationToken.extend({ token: z.string() });
export type CreatedRegistrationToken = z.infer<typeof CreatedRegistrationToken>;
