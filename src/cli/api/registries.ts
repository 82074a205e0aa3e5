import { z } from "zod";
import { Registry, type SetRegistryRequest } from "../../protocol/registries.ts";
import type { ApiClient } from "./client.ts";

export async function listRegistries(api: ApiClient): Promise<Registry[]> {
  return (await api.get("/registries", z.object({ items: z.array(Registry) }))).items;
}

export function setRegistry(api: ApiClient, login: SetRegistryRequest): Promise<Registry> {
  return api.post("/registries", login, Registry);
}

export function removeRegistry(api: ApiClient, host: string): Promise<void> {
  return api.delete(`/registries/${encodeURIComponent(host)}`, z.undefined());
}
