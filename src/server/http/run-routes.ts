import { SecretValues } from "../scheduling/secret-values.ts";
import { ContractCache } from "../scheduling/step-contracts.ts";
import type { Services } from "../services.ts";
import { agentBootRoute } from "./agent-boot.ts";
import { agentEventsRoute } from "./agent-events.ts";
import { agentHeartbeatRoute } from "./agent-heartbeat.ts";
import { agentLogsRoute } from "./agent-logs.ts";
import { agentMessagesRoute } from "./agent-messages.ts";
import { agentPollRoute } from "./agent-poll.ts";
import { agentSecretsRoute } from "./agent-secrets.ts";
import { artifactPreviewRoute } from "./artifact-preview.ts";
import { provenanceRoutes } from "./artifact-provenance.ts";
import { artifactRoutes } from "./artifacts.ts";
import { attemptUsageRoute } from "./attempt-usage.ts";
import { cacheRoutes } from "./cache.ts";
import { hookRoute } from "./hooks.ts";
import { logWindowRoutes } from "./log-windows.ts";
import { logsRoute } from "./logs.ts";
import { metricRoutes } from "./metrics.ts";
import { openLineageRoute } from "./openlineage.ts";
import { overviewRoute } from "./overview.ts";
import { pipelineRoutes } from "./pipelines.ts";
import { registryRoutes } from "./registries.ts";
import type { Route } from "./route.ts";
import { runChangesRoute } from "./run-changes.ts";
import { runEventsRoute } from "./run-events.ts";
import { runGraphRoute } from "./run-graph.ts";
import { runsRoutes } from "./runs.ts";
import { scheduleRoutes } from "./schedules.ts";
import { secretRoutes } from "./secrets.ts";
import { storeRulesRoutes } from "./store-rules.ts";
import { storeUsageRoutes } from "./store-usage.ts";
import { storeVerifyRoutes } from "./store-verify.ts";
import { triggerRoutes } from "./triggers.ts";
import { variableRoutes } from "./variables.ts";

/** Everything about pipelines, runs and artifacts: for people below `/`, for agents below `/agent`. */
export function runRoutes(services: Services): Route[] {
  const secrets = new SecretValues(services);
  return [
    ...pipelineRoutes(services),
    ...runsRoutes(services),
    runEventsRoute(services),
    runChangesRoute(services),
    overviewRoute(services),
    runGraphRoute(services),
    logsRoute(services),
    ...logWindowRoutes(services),
    ...metricRoutes(services),
    attemptUsageRoute(services),
    ...artifactRoutes(services),
    openLineageRoute(services),
    ...storeRulesRoutes(services),
    ...provenanceRoutes(services),
    ...storeVerifyRoutes(services),
    ...storeUsageRoutes(services),
    artifactPreviewRoute(services),
    ...cacheRoutes(services),
    ...scheduleRoutes(services),
    ...triggerRoutes(services),
    ...secretRoutes(services),
    ...registryRoutes(services),
    ...variableRoutes(services),
    hookRoute(services),
    agentBootRoute(services),
    agentHeartbeatRoute(services),
    agentPollRoute(services),
    agentEventsRoute(services, new ContractCache(), secrets),
    agentLogsRoute(services),
    agentMessagesRoute(services, secrets),
    agentSecretsRoute(services),
  ];
}
