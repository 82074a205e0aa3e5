import { createHash } from "node:crypto";
import type { AttemptRef } from "./execution-backend.ts";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"; // RFC 4648 base32 in lower case: legal in every platform's names.

/**
 * The name of an attempt's object: `b` and 31 characters of base32. It depends on nothing but the identity, so that
 * a crash between "intended" and "created" is recovered by looking for it. The scope is part of it, because a lease that
 * was lost may have left an object behind for the same attempt number. What people read goes in labels.
 */
export function objectName(
  installation: string,
  { run, scope, stepRun, attempt }: Pick<AttemptRef, "run" | "scope" | "stepRun" | "attempt">,
): string {
  return hashName(installation, run, scope, stepRun, String(attempt));
}

/** The same for what a scope shares. */
export function scopeName(installation: string, scope: string): string {
  return hashName(installation, scope, "scope", "0");
}

function hashName(...parts: string[]): string {
  const digest = createHash("sha256").update(JSON.stringify(parts)).digest();
  let text = "b";
  let bits = 0;
  let value = 0;
  for (const byte of digest) {
    value = ((value << 8) | byte) & 0xffff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(value >> bits) & 31];
    }
  }
  return text.slice(0, 32);
}
