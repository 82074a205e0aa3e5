import { z } from "zod";
import { Name } from "./names.ts";
import { SecretValue } from "./secrets.ts";

/** How workers log in to image registries, for one project. No answer holds a password. */

/** `ghcr.io`, `registry.example.com:5000`; Docker Hub is `docker.io`. */
export const RegistryHost = z
  .string()
  .max(255)
  .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$/, 'must be a host, such as "ghcr.io" or "localhost:5000"');

const Username = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[^:\p{Cc}]+$/u, "must not hold ':' or control characters");

export const Registry = z.object({
  host: RegistryHost,
  username: Username,
  /** Whose runs may pull with it; null: all of the project. */
  pipelines: z.array(Name).nullable(),
  createdBy: z.string(),
  /** Of the password. */
  setAt: z.iso.datetime(),
  /** When a worker last got it; null: never. */
  lastUsedAt: z.iso.datetime().nullable(),
});
export type Registry = z.infer<typeof Registry>;

/** `POST /registries`: keeps a login, in place of the one before. `password` is in base64. */
export const SetRegistryRequest = z.strictObject({
  host: RegistryHost,
  username: Username,
  password: SecretValue,
  /** Left out: as it was, or all of them. */
  pipelines: z.array(Name).min(1).max(100).nullable().optional(),
});
export type SetRegistryRequest = z.infer<typeof SetRegistryRequest>;

/**
 * `POST /agent/runs/:run/registries`: the logins for the registries that an environment of the run's plan names; for those
 * of a Dockerfile, whose images the server does not know, all that the run's pipeline may have.
 */
export const RegistriesRequest = z.strictObject({
  epoch: z.int().min(1),
  environment: Name,
  /** See StepSecretsRequest. */
  recipient: z.base64().refine((text) => Buffer.byteLength(text, "base64") === 32, "must be 32 bytes in base64"),
});
export type RegistriesRequest = z.infer<typeof RegistriesRequest>;

export const RegistriesResponse = z.object({ sealed: z.base64() });

/** What is in the box, as JSON. */
export const RegistryLogins = z.array(z.strictObject({ host: RegistryHost, username: Username, password: z.base64() }));
export type RegistryLogins = z.infer<typeof RegistryLogins>;

/** What a box with logins is sealed for, where one with secrets has its attempt; no step run is called so. */
export function loginsFor(environment: string): { readonly stepRun: string; readonly attempt: number } {
  return { stepRun: `environment:${environment}`, attempt: 1 };
}
