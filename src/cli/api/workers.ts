import { pageOf, WorkerSummary } from "../../protocol/resources.ts";
import { allPages } from "./all-pages.ts";
import type { ApiClient } from "./client.ts";

const WorkerPage = pageOf(WorkerSummary);

export function listWorkers(api: ApiClient): Promise<WorkerSummary[]> {
  return allPages((query) => api.get("/workers", WorkerPage, { query }));
}
