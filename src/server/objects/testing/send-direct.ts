import { createHash } from "node:crypto";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import type { DirectBody, DirectRequest } from "../direct-transfers.ts";

/** Sends a signed request as it is, as an agent does. */
export async function sendDirect(
  { method, url, headers }: DirectRequest,
  body: Uint8Array | null,
  more: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly body: Buffer }> {
  const outgoing = httpRequest(url, { method, headers: { ...headers, ...more } });
  outgoing.end(body ?? undefined);
  const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
  return { status: answer.statusCode ?? 0, body: await buffer(answer) };
}

export function bodyOf(bytes: Uint8Array, expiresInMs = 60_000): DirectBody {
  return { size: bytes.length, md5: createHash("md5").update(bytes).digest("base64"), expiresInMs };
}
