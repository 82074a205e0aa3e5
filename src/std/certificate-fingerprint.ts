import type { X509Certificate } from "node:crypto";

const SHA256_HEX = /^[0-9a-f]{64}$/i;

/** `sha256:` and 64 hex digits: how Berth writes which certificate is meant. */
export function fingerprintOf(certificate: X509Certificate): string {
  return `sha256:${certificate.fingerprint256.replaceAll(":", "").toLowerCase()}`;
}

/** The same of what a person wrote, with colons between the bytes or without; null when it is no SHA-256. */
export function parseFingerprint(text: string): string | null {
  const hex = text
    .trim()
    .replace(/^sha-?256[:=]/i, "")
    .replaceAll(":", "");
  return SHA256_HEX.test(hex) ? `sha256:${hex.toLowerCase()}` : null;
}
