import { PipelineVersion } from "../../protocol/resources.ts";
import type { ApiClient } from "./client.ts";

export function getPipelineVersion(api: ApiClient, pipeline: string, version: number): Promise<PipelineVersion> {
  return api.get(`/pipelines/${encodeURIComponent(pipeline)}/versions/${version}`, PipelineVersion);
}
