import { z } from "zod";
import { pageOf } from "../../protocol/resources.ts";
import { RekeyResponse, Secret, SecretDetail } from "../../protocol/secrets.ts";
import { allPages } from "./all-pages.ts";
import type { ApiClient } from "./client.ts";

const SecretPage = pageOf(Secret);

export function listSecrets(api: ApiClient): Promise<Secret[]> {
  return allPages((query) => api.get("/secrets", SecretPage, { query }));
}

export function getSecret(api: ApiClient, name: string): Promise<SecretDetail> {
  return api.get(pathOf(name), SecretDetail);
}

/** `pipelines` left out: as it was, or all of them. */
export function setSecret(
  api: ApiClient,
  name: string,
  value: Buffer,
  pipelines: readonly string[] | undefined,
): Promise<Secret> {
  return api.post("/secrets", { name, value: value.toString("base64"), pipelines }, Secret);
}

export function rotateSecret(api: ApiClient, name: string, value: Buffer, keepPrevious: boolean): Promise<Secret> {
  return api.post(`${pathOf(name)}/rotate`, { value: value.toString("base64"), keepPrevious }, Secret);
}

export function allowPipelines(api: ApiClient, name: string, pipelines: readonly string[] | null): Promise<Secret> {
  return api.put(`${pathOf(name)}/pipelines`, { pipelines }, Secret);
}

export function removeSecret(api: ApiClient, name: string): Promise<void> {
  return api.delete(pathOf(name), z.undefined());
}

export function rekey(api: ApiClient): Promise<RekeyResponse> {
  return api.post("/secrets/rekey", undefined, RekeyResponse);
}

function pathOf(name: string): string {
  return `/secrets/${encodeURIComponent(name)}`;
}
