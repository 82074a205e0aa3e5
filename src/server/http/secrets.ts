import { z } from "zod";
import { PageQuery, pageOf } from "../../protocol/resources.ts";
import {
  AllowPipelinesRequest,
  RekeyResponse,
  RotateSecretRequest,
  Secret,
  SecretDetail,
  SecretName,
  SetSecretRequest,
} from "../../protocol/secrets.ts";
import { allowPipelines, noSecret, removeSecret, rotateSecret, setSecret } from "../scheduling/change-secrets.ts";
import { rekey } from "../scheduling/rekey.ts";
import type { Services } from "../services.ts";
import { findSecret, listAccesses, listSecrets } from "../store/secrets.ts";
import { nameOf } from "./callers.ts";
import { decodeKey, encodeCursor, nextPage } from "./paging.ts";
import { defineRoute, type Route } from "./route.ts";

const SecretParams = z.object({ secret: SecretName });
const ACCESSES_SHOWN = 20;
/** A value of the largest size in base64, and room for its name and pipelines. */
const BODY_MAX_BYTES = 128 * 1024;

/** Secrets for those who keep them. No answer holds a value: agent-secrets.ts is the only way out. */
export function secretRoutes(services: Services): Route[] {
  const { pool } = services.database ?? {};
  const show = async (project: string, name: string): Promise<Secret> =>
    (await findSecret(pool, project, name)) ?? noSecret(name);
  return [
    defineRoute({
      method: "GET",
      path: "/secrets",
      access: { kind: "role", role: "viewer" },
      summary: "List secrets by name; never their values",
      tag: "secrets",
      schemas: { query: PageQuery, response: pageOf(Secret) },
      handler: async ({ query: { cursor, limit }, project }) =>
        nextPage(await listSecrets(pool, project, { after: decodeKey(cursor), limit: limit + 1 }), limit, ({ name }) =>
          encodeCursor([name]),
        ),
    }),
    defineRoute({
      method: "GET",
      path: "/secrets/:secret",
      access: { kind: "role", role: "viewer" },
      summary: "Show a secret, with the attempts that got it last; never its value",
      tag: "secrets",
      schemas: { params: SecretParams, response: SecretDetail },
      handler: async ({ params: { secret }, project }) => ({
        ...(await show(project, secret)),
        accesses: await listAccesses(pool, project, secret, ACCESSES_SHOWN),
      }),
    }),
    defineRoute({
      method: "POST",
      path: "/secrets",
      access: { kind: "role", role: "operator" },
      audit: "secret.set",
      summary: "Set a secret: make it, or replace its value",
      tag: "secrets",
      schemas: { body: SetSecretRequest, response: Secret },
      maxBodyBytes: BODY_MAX_BYTES,
      errors: ["conflict"],
      handler: async ({ body, project, principal }) => {
        await setSecret(services, { project, by: nameOf(principal) }, body);
        return show(project, body.name);
      },
    }),
    defineRoute({
      method: "POST",
      path: "/secrets/:secret/rotate",
      access: { kind: "role", role: "operator" },
      audit: "secret.rotate",
      summary: "Give a secret a new value; the old one is removed, or kept as the previous one",
      tag: "secrets",
      schemas: { params: SecretParams, body: RotateSecretRequest, response: Secret },
      maxBodyBytes: BODY_MAX_BYTES,
      errors: ["conflict"],
      handler: async ({ params: { secret }, body, project, principal }) => {
        await rotateSecret(services, { project, by: nameOf(principal) }, secret, body);
        return show(project, secret);
      },
    }),
    defineRoute({
      method: "PUT",
      path: "/secrets/:secret/pipelines",
      access: { kind: "role", role: "operator" },
      audit: "secret.allow",
      summary: "Say which pipelines may have a secret",
      tag: "secrets",
      schemas: { params: SecretParams, body: AllowPipelinesRequest, response: Secret },
      handler: async ({ params: { secret }, body, project, principal }) => {
        await allowPipelines(services, { project, by: nameOf(principal) }, secret, body.pipelines);
        return show(project, secret);
      },
    }),
    defineRoute({
      method: "DELETE",
      path: "/secrets/:secret",
      access: { kind: "role", role: "operator" },
      audit: "secret.remove",
      summary: "Remove a secret with all its versions",
      tag: "secrets",
      schemas: { params: SecretParams, response: null },
      handler: async ({ params: { secret }, project, principal }) =>
        removeSecret(services, { project, by: nameOf(principal) }, secret),
    }),
    defineRoute({
      method: "POST",
      path: "/secrets/rekey",
      access: { kind: "role", role: "admin" },
      audit: "secret.rekey",
      summary: "Encrypt all secrets of the project anew, under the newest key",
      tag: "secrets",
      schemas: { response: RekeyResponse },
      errors: ["conflict"],
      handler: async ({ project }) => rekey(services, project),
    }),
  ];
}
