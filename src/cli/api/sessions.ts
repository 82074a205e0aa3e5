import { SessionCode } from "../../protocol/sessions.ts";
import type { ApiClient } from "./client.ts";

/** The address of the web UI that lets a browser in once. The code is behind the `#`, which no server or proxy ever sees. */
export async function sessionLink(
  api: ApiClient,
  page = "/",
): Promise<{ readonly url: string; readonly expiresAt: string }> {
  const { code, expiresAt } = await api.post("/session/codes", undefined, SessionCode);
  return { url: `${api.server}${page}#code=${code}`, expiresAt };
}
