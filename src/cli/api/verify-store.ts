import { VerifyStorePage } from "../../protocol/store-verify.ts";
import type { ApiClient } from "./client.ts";

/** One part of the work is one blob at least, which may be as large as a store allows. */
const PART_TIMEOUT_MS = 4 * 60 * 60_000;

/** All parts of the work, one after the other. */
export async function* verifyStore(
  api: ApiClient,
  { quick, signal }: { readonly quick: boolean; readonly signal?: AbortSignal },
): AsyncGenerator<VerifyStorePage, void, undefined> {
  let cursor: string | undefined;
  do {
    const body = { quick, ...(cursor === undefined ? {} : { cursor }) };
    const page = await api.post("/store/verify", body, VerifyStorePage, { timeoutMs: PART_TIMEOUT_MS, signal });
    yield page;
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
}
