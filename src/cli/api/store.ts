import { z } from "zod";
import { pageOf } from "../../protocol/resources.ts";
import {
  ItemsChanged,
  type RetentionRule,
  RulesOfProject,
  type SettingsScope,
  VersionRetention,
} from "../../protocol/retention.ts";
import { CollectAnswer, Quotas, StoreUsage, type UsedQuota } from "../../protocol/usage.ts";
import { allPages } from "./all-pages.ts";
import { type ArtifactReference, artifactPath } from "./artifacts.ts";
import type { ApiClient, RequestOptions } from "./client.ts";

/** All items of a version, or one of them. */
export interface ItemReference extends ArtifactReference {
  readonly item: string | undefined;
}

function ofItem({ item }: ItemReference): RequestOptions {
  return { query: { item } };
}

export async function readRetention(api: ApiClient, reference: ItemReference): Promise<VersionRetention[]> {
  const path = `${artifactPath(reference)}/retention`;
  const Page = pageOf(VersionRetention);
  return allPages((query) => api.get(path, Page, { query: { ...query, item: reference.item } }));
}

/** Each of these returns how many items it was done with. */
export async function pinVersion(api: ApiClient, reference: ItemReference, reason: string | null): Promise<number> {
  return (await api.put(`${artifactPath(reference)}/pin`, { reason }, ItemsChanged, ofItem(reference))).items;
}

export async function unpinVersion(api: ApiClient, reference: ItemReference): Promise<number> {
  return (await api.delete(`${artifactPath(reference)}/pin`, ItemsChanged, ofItem(reference))).items;
}

export async function expireVersion(api: ApiClient, reference: ItemReference, until: string | null): Promise<number> {
  return (await api.put(`${artifactPath(reference)}/expiry`, { until }, ItemsChanged, ofItem(reference))).items;
}

export async function removeVersion(api: ApiClient, reference: ItemReference, force: boolean): Promise<number> {
  const query = { item: reference.item, force: String(force) };
  return (await api.delete(artifactPath(reference), ItemsChanged, { query })).items;
}

/** Which rule of the settings. */
export interface RuleReference {
  readonly scope: SettingsScope;
  readonly subject: string | undefined;
}

export async function listRules(api: ApiClient): Promise<RulesOfProject["items"]> {
  return (await api.get("/store/rules", RulesOfProject)).items;
}

export async function setRule(
  api: ApiClient,
  reference: RuleReference,
  rule: RetentionRule,
): Promise<RulesOfProject["items"][number]> {
  return api.put("/store/rules", { ...reference, rule }, RulesOfProject.shape.items.element);
}

export async function unsetRule(api: ApiClient, reference: RuleReference): Promise<void> {
  await api.delete("/store/rules", z.undefined(), { query: { ...reference } });
}

export async function readUsage(
  api: ApiClient,
  query: { readonly pipeline: string | undefined; readonly days: number },
): Promise<StoreUsage> {
  return api.get("/store/usage", StoreUsage, { query });
}

export async function listQuotas(api: ApiClient): Promise<UsedQuota[]> {
  return (await api.get("/store/quotas", Quotas)).items;
}

/** Returns all quotas of the project. */
export async function setQuota(
  api: ApiClient,
  quota: Pick<UsedQuota, "pipeline" | "maxBytes" | "maxArtifactBytes">,
): Promise<UsedQuota[]> {
  return (await api.put("/store/quotas", quota, Quotas)).items;
}

export async function unsetQuota(api: ApiClient, pipeline: string | undefined): Promise<void> {
  await api.delete("/store/quotas", z.undefined(), { query: { pipeline } });
}

export async function collectStore(
  api: ApiClient,
  request: { readonly dryRun: boolean; readonly graceMs?: number },
): Promise<CollectAnswer> {
  return api.post("/store/collect", request, CollectAnswer);
}
