import { createHash, randomBytes } from "node:crypto";

/** What each kind of token starts with, so that a leaked one is recognised by people and scanners. */
export const TOKEN_PREFIX = { api: "brt_", registration: "brr_", session: "brs_" } as const;

const TOKEN_BYTES = 32;

/** A new token and what is stored of it. The token itself is shown once and kept nowhere. */
export function newSecretToken(kind: keyof typeof TOKEN_PREFIX): { readonly token: string; readonly hash: Buffer } {
  const token = TOKEN_PREFIX[kind] + randomBytes(TOKEN_BYTES).toString("base64url");
  return { token, hash: hashToken(token) };
}

/** Tokens hold 256 random bits: a plain hash cannot be reversed, and looking it up by an index leaks nothing of it. */
export function hashToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
