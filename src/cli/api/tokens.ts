import { z } from "zod";
import { pageOf } from "../../protocol/resources.ts";
import {
  ApiToken,
  CreatedRegistrationToken,
  CreatedToken,
  type CreateRegistrationTokenRequest,
  type CreateTokenRequest,
  RegistrationToken,
} from "../../protocol/tokens.ts";
import { allPages } from "./all-pages.ts";
import type { ApiClient } from "./client.ts";

const TokenPage = pageOf(ApiToken);
const RegistrationTokenPage = pageOf(RegistrationToken);

export function createToken(api: ApiClient, request: z.input<typeof CreateTokenRequest>): Promise<CreatedToken> {
  return api.post("/tokens", request, CreatedToken);
}

export function createRegistrationToken(
  api: ApiClient,
  request: z.input<typeof CreateRegistrationTokenRequest>,
): Promise<CreatedRegistrationToken> {
  return api.post("/registration-tokens", request, CreatedRegistrationToken);
}

export function listTokens(api: ApiClient): Promise<ApiToken[]> {
  return allPages((query) => api.get("/tokens", TokenPage, { query }));
}

export function listRegistrationTokens(api: ApiClient): Promise<RegistrationToken[]> {
  return allPages((query) => api.get("/registration-tokens", RegistrationTokenPage, { query }));
}

/** Whichever of the two it is: their ids tell them apart. */
export function revokeToken(api: ApiClient, id: string): Promise<void> {
  return api.delete(
    `${id.startsWith("reg_") ? "/registration-tokens" : "/tokens"}/${encodeURIComponent(id)}`,
    z.undefined(),
  );
}
