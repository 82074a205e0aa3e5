import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { test } from "node:test";
import {
  BUILD_TYPE,
  checkEnvelope,
  keyIdOf,
  PAYLOAD_TYPE,
  type ProvenanceEnvelope,
  type ProvenanceStatement,
  SLSA_PROVENANCE,
  STATEMENT_TYPE,
  signedBytes,
  subjectName,
} from "./provenance.ts";

const digestOf = (text: string) => createHash("sha256").update(text).digest("hex");

const STATEMENT: ProvenanceStatement = {
  _type: STATEMENT_TYPE,
  subject: [{ name: "wine/train/model/3", digest: { sha256: digestOf("a model") } }],
  predicateType: SLSA_PROVENANCE,
  predicate: {
    buildDefinition: {
      buildType: BUILD_TYPE,
      externalParameters: { pipeline: "wine", params: { seed: 7 } },
      internalParameters: { backend: "docker" },
      resolvedDependencies: [{ name: "source", digest: { sha256: digestOf("source") } }],
    },
    runDetails: {
      builder: { id: "berth://one" },
      metadata: {
        invocationId: "berth://one/default/runs/run_1/train/1",
        startedOn: "2026-01-01T00:00:00.000Z",
        finishedOn: "2026-01-01T00:00:01.000Z",
      },
    },
  },
};

const pemOf = (key: KeyObject) => key.export({ type: "spki", format: "pem" }) as string;
const mine = generateKeyPairSync("ed25519");
const other = generateKeyPairSync("ed25519");

function envelopeOf(statement: unknown, { privateKey, publicKey } = mine): ProvenanceEnvelope {
  const payload = Buffer.from(JSON.stringify(statement));
  const sig = sign(null, signedBytes(PAYLOAD_TYPE, payload), privateKey).toString("base64");
  const signatures = [{ keyid: keyIdOf(publicKey), sig }];
  return { payloadType: PAYLOAD_TYPE, payload: payload.toString("base64"), signatures };
}

function whyNot(envelope: unknown, keys = [pemOf(mine.publicKey)]): string {
  const checked = checkEnvelope(envelope, keys);
  return checked.ok ? "it holds" : checked.why;
}

test("an envelope holds under the key that signed it, among others", () => {
  const checked = checkEnvelope(envelopeOf(STATEMENT), [pemOf(other.publicKey), pemOf(mine.publicKey)]);
  assert.deepEqual(checked, { ok: true, statement: STATEMENT, keyId: keyIdOf(mine.publicKey) });
});

test("what is signed is the encoding of DSSE, by the example of its specification", () => {
  const bytes = signedBytes("http://example.com/HelloWorld", Buffer.from("hello world"));
  assert.equal(bytes.toString(), "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
});

/** Every place of a value, by its path. */
function* placesOf(value: unknown, path: readonly (string | number)[] = []): Generator<readonly (string | number)[]> {
  if (typeof value !== "object" || value === null) yield path;
  else
    for (const [key, below] of Object.entries(value))
      yield* placesOf(below, [...path, Array.isArray(value) ? Number(key) : key]);
}

function changed(value: unknown, path: readonly (string | number)[]): unknown {
  const copy = structuredClone(value) as Record<string | number, unknown>;
  let at = copy;
  for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>;
  const last = path.at(-1)!;
  at[last] = typeof at[last] === "number" ? at[last] + 1 : `${String(at[last])}x`;
  return copy;
}

test("a statement of which any one field was changed is not what was signed", () => {
  const envelope = envelopeOf(STATEMENT);
  const places = [...placesOf(STATEMENT)];
  assert.ok(places.length >= 13);
  for (const place of places) {
    const payload = Buffer.from(JSON.stringify(changed(STATEMENT, place))).toString("base64");
    assert.match(whyNot({ ...envelope, payload }), /one of them was changed/, place.join("."));
  }
});

test("a changed type, a changed, swapped or missing signature, and an unknown key are refused", () => {
  const envelope = envelopeOf(STATEMENT);
  const [signature] = envelope.signatures as [{ keyid: string; sig: string }];
  const foreign = envelopeOf({ ...STATEMENT, subject: [{ ...STATEMENT.subject[0], name: "wine/train/model/4" }] });
  const flipped = Buffer.from(signature.sig, "base64");
  flipped[5]! ^= 1;
  assert.match(whyNot({ ...envelope, payloadType: "application/json" }), /no signed statement|not a signed statement/);
  assert.match(whyNot({ ...envelope, signatures: foreign.signatures }), /one of them was changed/);
  assert.match(
    whyNot({ ...envelope, signatures: [{ ...signature, sig: flipped.toString("base64") }] }),
    /one of them was changed/,
  );
  assert.match(whyNot({ ...envelope, signatures: [{ ...signature, sig: "" }] }), /was changed/);
  assert.match(whyNot({ ...envelope, signatures: [] }), /signatures/);
  assert.match(whyNot(envelope, [pemOf(other.publicKey)]), /no key that is known/);
  assert.match(whyNot(envelope, []), /no key that is known/);
  // Signed by another key, under the name of this one, and the other way round.
  const forged = envelopeOf(STATEMENT, other);
  assert.match(
    whyNot({ ...forged, signatures: [{ ...forged.signatures[0]!, keyid: signature.keyid }] }),
    /was changed/,
  );
  assert.match(
    whyNot({ ...envelope, signatures: [{ ...signature, keyid: keyIdOf(other.publicKey) }] }),
    /no key that is known/,
  );
  for (const broken of [null, "text", {}, { ...envelope, more: 1 }, { ...envelope, payload: "%%%" }]) {
    assert.match(whyNot(broken), /not a signed statement/);
  }
});

test("what is well signed, and no provenance of Berth, is refused", () => {
  for (const [field, value] of [
    ["_type", "https://in-toto.io/Statement/v0.1"],
    ["predicateType", "https://slsa.dev/provenance/v0.2"],
    ["subject", []],
    ["subject", [{ name: "x", digest: { sha1: "abc" } }]],
    ["predicate", {}],
  ] as const) {
    assert.match(whyNot(envelopeOf({ ...STATEMENT, [field]: value })), /no provenance of Berth/, field);
  }
  assert.match(whyNot(envelopeOf("hello")), /no provenance of Berth/);
});

test("an item has a name of its own, whatever is in it", () => {
  const artifact = { pipeline: "wine", step: "train", name: "model", version: 3 };
  assert.equal(subjectName(artifact, ""), "wine/train/model/3");
  assert.equal(subjectName(artifact, "model=a/b&c"), "wine/train/model/3?item=model%3Da%2Fb%26c");
});
