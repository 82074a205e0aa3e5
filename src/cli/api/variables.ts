import { z } from "zod";
import { ProjectVariable, RunVariables } from "../../protocol/variables.ts";
import type { ApiClient } from "./client.ts";

const VariableList = z.object({ items: z.array(ProjectVariable) });

export async function listVariables(api: ApiClient): Promise<ProjectVariable[]> {
  return (await api.get("/variables", VariableList)).items;
}

export function setVariable(api: ApiClient, name: string, value: string): Promise<ProjectVariable> {
  return api.put(`/variables/${encodeURIComponent(name)}`, { value }, ProjectVariable);
}

export function removeVariable(api: ApiClient, name: string): Promise<void> {
  return api.delete(`/variables/${encodeURIComponent(name)}`, z.undefined());
}

/** @param step one step's only */
export function getRunVariables(api: ApiClient, run: string, step?: string): Promise<RunVariables> {
  return api.get(`/runs/${encodeURIComponent(run)}/variables`, RunVariables, { query: { step } });
}
