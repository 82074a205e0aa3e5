import type { Services } from "../services.ts";
import { agentRegistrationRoute } from "./agent-registration.ts";
import { auditRoutes } from "./audit.ts";
import { blobBatchRoutes } from "./blob-batches.ts";
import { blobRoutes } from "./blobs.ts";
import { healthRoutes } from "./health.ts";
import { loginRoutes } from "./login.ts";
import { registrationTokenRoutes } from "./registration-tokens.ts";
import type { Route } from "./route.ts";
import { runRoutes } from "./run-routes.ts";
import { sessionRoutes } from "./session.ts";
import { tokenRoutes } from "./tokens.ts";
import { uploadRoutes } from "./uploads.ts";
import { workerRoutes } from "./workers.ts";

/** Every route of the server. */
export function allRoutes(services: Services, version: string): Route[] {
  return [
    ...healthRoutes(services, version),
    ...tokenRoutes(services),
    ...auditRoutes(services),
    ...loginRoutes(services),
    ...sessionRoutes(services),
    ...registrationTokenRoutes(services),
    ...workerRoutes(services),
    agentRegistrationRoute(services),
    ...blobRoutes(services),
    ...blobBatchRoutes(services),
    ...uploadRoutes(services),
    ...runRoutes(services),
  ];
}
