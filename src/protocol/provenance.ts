import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { z } from "zod";
import { Digest } from "./names.ts";

/**
 * Signed provenance of a version of an artifact: an in-toto Statement v1 with the SLSA provenance v1 predicate, in a DSSE
 * envelope. What is here is all that checking one takes, with no server at hand.
 */

export const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
export const SLSA_PROVENANCE = "https://slsa.dev/provenance/v1";
export const PAYLOAD_TYPE = "application/vnd.in-toto+json";
/** How Berth makes artifacts, and what the parameters mean: docs/artifacts.md describes it. */
export const BUILD_TYPE = "urn:berth:step:v1";

const DigestSet = z.record(z.string(), z.string());

export const ResourceDescriptor = z.object({
  name: z.string().optional(),
  uri: z.string().optional(),
  digest: DigestSet.optional(),
  annotations: z.record(z.string(), z.unknown()).optional(),
});
export type ResourceDescriptor = z.infer<typeof ResourceDescriptor>;

export const ProvenanceStatement = z.object({
  _type: z.literal(STATEMENT_TYPE),
  subject: z
    .array(ResourceDescriptor.extend({ name: z.string(), digest: z.looseObject({ sha256: Digest }) }))
    .length(1),
  predicateType: z.literal(SLSA_PROVENANCE),
  predicate: z.object({
    buildDefinition: z.object({
      buildType: z.literal(BUILD_TYPE),
      externalParameters: z.record(z.string(), z.unknown()),
      internalParameters: z.record(z.string(), z.unknown()),
      resolvedDependencies: z.array(ResourceDescriptor),
    }),
    runDetails: z.object({
      builder: z.object({ id: z.string() }),
      metadata: z.object({ invocationId: z.string(), startedOn: z.iso.datetime(), finishedOn: z.iso.datetime() }),
    }),
  }),
});
export type ProvenanceStatement = z.infer<typeof ProvenanceStatement>;

const Base64 = z.base64();

export const ProvenanceEnvelope = z.strictObject({
  payloadType: z.literal(PAYLOAD_TYPE),
  payload: Base64,
  signatures: z.array(z.strictObject({ keyid: Digest, sig: Base64 })).min(1),
});
export type ProvenanceEnvelope = z.infer<typeof ProvenanceEnvelope>;

/** A public key of the installation. The private one of a key that is not current may be gone; what it signed stays valid. */
export const ProvenanceKey = z.object({
  /** SHA-256 of the key in DER (SPKI). */
  id: Digest,
  /** PEM (SPKI). */
  publicKey: z.string(),
  /** Whether the server that answers signs with it. */
  current: z.boolean(),
  firstUsedAt: z.iso.datetime(),
});
export type ProvenanceKey = z.infer<typeof ProvenanceKey>;
export const ProvenanceKeys = z.object({ items: z.array(ProvenanceKey) });

/** `wine/score/scores/4`, or `wine/score/scores/4?item=7`: how a statement names its subject. */
export function subjectName(
  { pipeline, step, name, version }: { pipeline: string; step: string; name: string; version: number },
  item: string,
): string {
  const artifact = `${pipeline}/${step}/${name}/${version}`;
  return item === "" ? artifact : `${artifact}?item=${encodeURIComponent(item)}`;
}

/** What a signature covers: the pre-authentication encoding of DSSE, in which no two pairs of type and body are equal. */
export function signedBytes(payloadType: string, payload: Uint8Array): Buffer {
  const type = Buffer.from(payloadType);
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} `), type, Buffer.from(` ${payload.length} `), payload]);
}

export function keyIdOf(publicKey: KeyObject): string {
  return createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("hex");
}

export type CheckedEnvelope =
  | { readonly ok: true; readonly statement: ProvenanceStatement; readonly keyId: string }
  | { readonly ok: false; readonly why: string };

/**
 * Checks an envelope against public keys in PEM: that one of them signed exactly these bytes, and that they are a
 * statement of provenance. What the statement says about which bytes is for the caller to compare.
 */
export function checkEnvelope(envelope: unknown, publicKeys: readonly string[]): CheckedEnvelope {
  const parsed = ProvenanceEnvelope.safeParse(envelope);
  if (!parsed.success)
    return { ok: false, why: `it is not a signed statement of provenance: ${firstIssue(parsed.error)}` };
  const { payloadType, payload, signatures } = parsed.data;
  const keys = new Map(publicKeys.map((pem) => createPublicKey(pem)).map((key) => [keyIdOf(key), key]));
  const known = signatures.filter(({ keyid }) => keys.has(keyid));
  if (known.length === 0) {
    return {
      ok: false,
      why: `it is signed by ${signatures.map(({ keyid }) => keyid.slice(0, 16)).join(", ")}, no key that is known`,
    };
  }
  const body = Buffer.from(payload, "base64");
  const signed = signedBytes(payloadType, body);
  const valid = known.find(({ keyid, sig }) => isSignedBy(keys.get(keyid)!, signed, Buffer.from(sig, "base64")));
  if (valid === undefined)
    return { ok: false, why: "the signature is not that of its content: one of them was changed" };
  const statement = ProvenanceStatement.safeParse(parseOrNull(body.toString("utf8")));
  if (!statement.success)
    return { ok: false, why: `what is signed is no provenance of Berth: ${firstIssue(statement.error)}` };
  return { ok: true, statement: statement.data, keyId: valid.keyid };
}

function isSignedBy(key: KeyObject, bytes: Buffer, signature: Buffer): boolean {
  return key.asymmetricKeyType === "ed25519" && verify(null, bytes, key, signature);
}

function firstIssue(error: z.ZodError): string {
  const { path, message } = error.issues[0]!;
  return path.length === 0 ? message : `${path.join(".")}: ${message}`;
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
