import { z } from "zod";
import { CacheExplanations, CachePlan } from "../../protocol/cache.ts";
import type { CreateRunInput } from "../../protocol/resources.ts";
import type { ApiClient } from "./client.ts";
import { runPath } from "./runs.ts";

export function planCache(
  api: ApiClient,
  input: Pick<CreateRunInput, "pipeline" | "fileName" | "params" | "source">,
): Promise<CachePlan> {
  return api.post("/cache/plan", input, CachePlan);
}

export async function explainCache(api: ApiClient, run: string, step: string | null): Promise<CacheExplanations> {
  const query = step === null ? {} : { step };
  return api.get(`${runPath(run)}/cache`, CacheExplanations, { query });
}

/** Returns of how many step runs the result was given up. */
export async function clearCache(api: ApiClient, pipeline: string, step: string | null): Promise<number> {
  const query = step === null ? {} : { step };
  return (
    await api.delete(`/pipelines/${encodeURIComponent(pipeline)}/cache`, z.object({ forgotten: z.int() }), { query })
  ).forgotten;
}
