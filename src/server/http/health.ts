import { z } from "zod";
import { AGENT_API_VERSION } from "../../protocol/agent-api.ts";
import { BerthError } from "../../protocol/errors.ts";
import type { Services } from "../services.ts";
import { findProject } from "../store/projects.ts";
import { defineRoute, type Route } from "./route.ts";

const Status = z.object({ status: z.literal("ok") });

export function healthRoutes(services: Services, version: string): Route[] {
  return [
    defineRoute({
      method: "GET",
      path: "/health",
      access: { kind: "public" },
      summary: "Whether this process is alive",
      tag: "meta",
      schemas: { response: Status },
      handler: async () => ({ status: "ok" }),
    }),
    defineRoute({
      method: "GET",
      path: "/health/ready",
      access: { kind: "public" },
      summary: "Whether this process can answer requests: the database answers",
      tag: "meta",
      schemas: { response: Status },
      handler: async () => {
        try {
          await services.database.pool.query("SELECT 1");
        } catch (error) {
          throw new BerthError("unavailable", "The database does not answer.", { cause: error });
        }
        return { status: "ok" };
      },
    }),
    defineRoute({
      method: "GET",
      path: "/info",
      access: { kind: "role", role: "viewer" },
      summary: "The server's version, its installation, and who is asking",
      tag: "meta",
      schemas: {
        response: z.object({
          version: z.string(),
          installation: z.string(),
          agentApiVersion: z.int(),
          project: z.object({ id: z.string(), name: z.string() }),
          token: z.object({ name: z.string(), role: z.string() }),
        }),
      },
      handler: async ({ project, principal }) => {
        if (principal.kind !== "token") throw new Error("this route takes API tokens");
        return {
          version,
          installation: services.installation,
          agentApiVersion: AGENT_API_VERSION,
          project: await findProject(services.database.pool, project),
          token: { name: principal.name, role: principal.role },
        };
      },
    }),
  ];
}
