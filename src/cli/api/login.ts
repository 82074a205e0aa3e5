import { z } from "zod";
import { type BeginLoginRequest, BegunLogin, FinishedLogin, type FinishLoginRequest } from "../../protocol/login.ts";
import type { CreatedToken } from "../../protocol/tokens.ts";
import type { ApiClient } from "./client.ts";

export function beginLogin(api: ApiClient, request: BeginLoginRequest): Promise<z.infer<typeof BegunLogin>> {
  return api.post("/login/begin", request, BegunLogin);
}

export function finishLogin(api: ApiClient, request: FinishLoginRequest): Promise<CreatedToken> {
  return api.post("/login/finish", request, FinishedLogin);
}

/** Revokes the token that the request is made with. */
export function endLogin(api: ApiClient): Promise<void> {
  return api.delete("/login", z.undefined());
}
