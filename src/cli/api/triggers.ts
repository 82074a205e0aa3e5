import { z } from "zod";
import { pageOf } from "../../protocol/resources.ts";
import {
  type CreateTriggerRequest,
  type PutTriggerRequest,
  Trigger,
  TriggerDetail,
  TriggerWithSecret,
} from "../../protocol/triggers.ts";
import { allPages } from "./all-pages.ts";
import type { ApiClient } from "./client.ts";

const TriggerPage = pageOf(Trigger);

export function createTrigger(
  api: ApiClient,
  request: z.input<typeof CreateTriggerRequest>,
): Promise<TriggerWithSecret> {
  return api.post("/triggers", request, TriggerWithSecret);
}

export function updateTrigger(api: ApiClient, name: string, request: PutTriggerRequest): Promise<TriggerDetail> {
  return api.put(pathOf(name), request, TriggerDetail);
}

export function listTriggers(api: ApiClient): Promise<Trigger[]> {
  return allPages((query) => api.get("/triggers", TriggerPage, { query }));
}

export async function hasActiveTriggers(api: ApiClient): Promise<boolean> {
  return (await api.get("/triggers", TriggerPage, { query: { state: "active", limit: 1 } })).items.length > 0;
}

export function getTrigger(api: ApiClient, name: string): Promise<TriggerDetail> {
  return api.get(pathOf(name), TriggerDetail);
}

export function rotateTrigger(
  api: ApiClient,
  name: string,
  keepOldSeconds: number | undefined,
): Promise<TriggerWithSecret> {
  return api.post(`${pathOf(name)}/rotate`, { keepOldSeconds }, TriggerWithSecret);
}

export function pauseTrigger(api: ApiClient, name: string, reason: string | null): Promise<TriggerDetail> {
  return api.post(`${pathOf(name)}/pause`, { reason }, TriggerDetail);
}

export function resumeTrigger(api: ApiClient, name: string): Promise<TriggerDetail> {
  return api.post(`${pathOf(name)}/resume`, undefined, TriggerDetail);
}

export function removeTrigger(api: ApiClient, name: string): Promise<void> {
  return api.delete(pathOf(name), z.undefined());
}

function pathOf(name: string): string {
  return `/triggers/${encodeURIComponent(name)}`;
}
