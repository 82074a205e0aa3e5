import { createHash, createPublicKey, type KeyObject, sign, verify } from "node:crypto";

/**
 * Proof of possession on each agent request: HTTP Message Signatures (RFC 9421) with Ed25519, in one fixed profile.
 * Covered components: `@method`, `@path`, `@query`, `content-digest` (RFC 9530; of the body as sent, or of nothing)
 * and `berth-boot`. `created` is server time as the agent last heard it, so that a skewed clock locks nobody out.
 */
export const SIGNATURE_MAX_AGE_SECONDS = 300;
/** A blob upload is streamed: its body is pinned by the digest in its path, not by the signature. */
export const UNSIGNED_PAYLOAD = "unsigned-payload";

export interface SignedRequest {
  readonly method: string;
  /** Path and query exactly as sent, such as `/api/v1/agent/poll?x=1`. */
  readonly target: string;
  /** Value of `content-digest`: see contentDigest; or UNSIGNED_PAYLOAD. */
  readonly contentDigest: string;
  readonly bootId: string;
  /** Seconds since 1970 by the server's clock. */
  readonly created: number;
  readonly workerId: string;
}

/** The `content-digest` header of a body: `sha-256=:base64:`. */
export function contentDigest(body: Uint8Array | string): string {
  return `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
}

function signatureParams(request: SignedRequest): string {
  const covered = `("@method" "@path" "@query" "content-digest" "berth-boot")`;
  return `${covered};created=${request.created};keyid="${request.workerId}";alg="ed25519"`;
}

function signatureBase(request: SignedRequest): Buffer {
  const [path, query] = splitTarget(request.target);
  return Buffer.from(
    [
      `"@method": ${request.method.toUpperCase()}`,
      `"@path": ${path}`,
      `"@query": ?${query}`,
      `"content-digest": ${request.contentDigest}`,
      `"berth-boot": ${request.bootId}`,
      `"@signature-params": ${signatureParams(request)}`,
    ].join("\n"),
  );
}

function splitTarget(target: string): [path: string, query: string] {
  const mark = target.indexOf("?");
  return mark < 0 ? [target, ""] : [target.slice(0, mark), target.slice(mark + 1)];
}

/** The headers that prove that this request was made by the holder of the worker's private key. */
export function signatureHeaders(request: SignedRequest, privateKey: KeyObject): Record<string, string> {
  const signature = sign(null, signatureBase(request), privateKey).toString("base64");
  return {
    "content-digest": request.contentDigest,
    "berth-boot": request.bootId,
    "signature-input": `berth=${signatureParams(request)}`,
    signature: `berth=:${signature}:`,
  };
}

export interface ParsedSignature {
  readonly workerId: string;
  readonly created: number;
  readonly signature: Buffer;
}

const INPUT =
  /^berth=\("@method" "@path" "@query" "content-digest" "berth-boot"\);created=(\d{1,12});keyid="(wrk_[0-9a-z]{26})";alg="ed25519"$/;
const SIGNATURE = /^berth=:([A-Za-z0-9+/]{86}==):$/;

/** Reads the two headers; null when they are not of Berth's profile. */
export function parseSignature(signatureInput: string, signature: string): ParsedSignature | null {
  const input = INPUT.exec(signatureInput);
  const value = SIGNATURE.exec(signature);
  if (input === null || value === null) return null;
  return { created: Number(input[1]), workerId: input[2]!, signature: Buffer.from(value[1]!, "base64") };
}

/** Whether `signature` was made over `request` by the holder of the key (raw 32 bytes, base64url). */
export function verifySignature(request: SignedRequest, signature: Uint8Array, publicKey: string): boolean {
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: publicKey }, format: "jwk" });
  return verify(null, signatureBase(request), key, signature);
}
