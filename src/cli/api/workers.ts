import { pageOf, RemovedWorker, WorkerSummary } from "../../protocol/resources.ts";
import { allPages } from "./all-pages.ts";
import type { ApiClient } from "./client.ts";

const WorkerPage = pageOf(WorkerSummary);

export function listWorkers(api: ApiClient): Promise<WorkerSummary[]> {
  return allPages((query) => api.get("/workers", WorkerPage, { query }));
}

/** By id or by name. */
export function showWorker(api: ApiClient, worker: string): Promise<WorkerSummary> {
  return api.get(workerPath(worker), WorkerSummary);
}

export function drainWorker(api: ApiClient, worker: string, draining: boolean): Promise<WorkerSummary> {
  return api.post(`${workerPath(worker)}/${draining ? "drain" : "undrain"}`, undefined, WorkerSummary);
}

export function removeWorker(api: ApiClient, worker: string, force: boolean): Promise<RemovedWorker> {
  return api.delete(workerPath(worker), RemovedWorker, { query: { force: String(force) } });
}

function workerPath(worker: string): string {
  return `/workers/${encodeURIComponent(worker)}`;
}
