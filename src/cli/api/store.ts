import { z } from "zod";
import { pageOf } from "../../protocol/resources.ts";
import {
  ItemsChanged,
  type RetentionRule,
  RulesOfProject,
  type SettingsScope,
  VersionRetention,
} from "../../protocol/retention.ts";
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
