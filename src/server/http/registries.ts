import { z } from "zod";
import { idOf } from "../../protocol/ids.ts";
import {
  RegistriesRequest,
  RegistriesResponse,
  Registry,
  RegistryHost,
  SetRegistryRequest,
} from "../../protocol/registries.ts";
import { removeRegistry, setRegistry } from "../scheduling/change-registries.ts";
import { giveRegistries } from "../scheduling/give-registries.ts";
import type { Services } from "../services.ts";
import { listRegistries } from "../store/registries.ts";
import { nameOf, workerOf } from "./callers.ts";
import { defineRoute, type Route } from "./route.ts";

const HostParams = z.object({ host: RegistryHost });
/** A password of the largest size in base64, and room for the rest. */
const BODY_MAX_BYTES = 128 * 1024;

/** Logins for image registries. No answer to people holds a password; agents get theirs sealed. */
export function registryRoutes(services: Services): Route[] {
  const { pool } = services.database ?? {};
  return [
    defineRoute({
      method: "GET",
      path: "/registries",
      access: { kind: "role", role: "viewer" },
      summary: "List the image registries that the project has logins for; never their passwords",
      tag: "secrets",
      schemas: { response: z.object({ items: z.array(Registry) }) },
      handler: async ({ project }) => ({ items: await listRegistries(pool, project) }),
    }),
    defineRoute({
      method: "POST",
      path: "/registries",
      access: { kind: "role", role: "operator" },
      audit: "registry.set",
      summary: "Keep a login for an image registry, in place of the one before",
      tag: "secrets",
      schemas: { body: SetRegistryRequest, response: Registry },
      maxBodyBytes: BODY_MAX_BYTES,
      errors: ["conflict"],
      handler: async ({ body, project, principal }) => {
        await setRegistry(services, { project, by: nameOf(principal) }, body);
        return (await listRegistries(pool, project)).find(({ host }) => host === body.host)!;
      },
    }),
    defineRoute({
      method: "DELETE",
      path: "/registries/:host",
      access: { kind: "role", role: "operator" },
      audit: "registry.remove",
      summary: "Remove the login for an image registry",
      tag: "secrets",
      schemas: { params: HostParams, response: null },
      handler: async ({ params: { host }, project }) => removeRegistry(services, project, host),
    }),
    defineRoute({
      method: "POST",
      path: "/agent/runs/:run/registries",
      access: { kind: "agent", boot: "current" },
      audit: "secret.access",
      summary: "Logins for the registries of an environment, sealed to the key that is sent",
      tag: "agent",
      schemas: { params: z.object({ run: idOf("run") }), body: RegistriesRequest, response: RegistriesResponse },
      errors: ["not_found", "stale_epoch", "secret_unavailable"],
      handler: async ({ params: { run }, body: { epoch, environment, recipient }, principal, project }) => {
        const { worker } = workerOf(principal);
        const wanted = { environment, recipient: Buffer.from(recipient, "base64") };
        const sealed = await giveRegistries(services, { project, worker, run, epoch }, wanted);
        return { sealed: sealed.toString("base64") };
      },
    }),
  ];
}
