import { subscribe } from "node:diagnostics_channel";
import type { IncomingMessage } from "node:http";

/** Told at most this often: the supervisor only asks whether the last request was long ago. */
const REPORT_INTERVAL_MS = 5_000;
/** What the supervisor calls itself when it looks for live runs, which must not keep the platform alive. */
export const SUPERVISOR_USER_AGENT = "berth-supervisor";

/** Calls `report` when somebody other than an agent or the supervisor uses an HTTP server of this process. */
export function watchRequests(report: () => void): void {
  let reportedMs = Number.NEGATIVE_INFINITY;
  subscribe("http.server.request.start", (message) => {
    const { request } = message as { request: IncomingMessage };
    if (request.url?.startsWith("/api/v1/agent/") || request.headers["user-agent"] === SUPERVISOR_USER_AGENT) return;
    if (performance.now() - reportedMs < REPORT_INTERVAL_MS) return;
    reportedMs = performance.now();
    report();
  });
}
