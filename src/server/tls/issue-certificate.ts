import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";
import { DER } from "../../std/der.ts";

/** A certificate and its private key, both in PEM. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const OID = {
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  commonName: "2.5.4.3",
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyId: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
} as const;

/** digitalSignature; keyCertSign and cRLSign. RFC 5280, 4.2.1.3. */
const LEAF_USAGE = DER.bits(Uint8Array.of(0x80), 7);
const AUTHORITY_USAGE = DER.bits(Uint8Array.of(0x06), 1);
const SERIAL_BYTES = 16;
const COMMON_NAME_MAX_CHARS = 64;

/** A certificate authority of its own: it signs servers' certificates, and no other authorities. */
export function issueAuthority(name: string, validity: Validity): Issued {
  const { privateKey, publicKey } = newKeys();
  const extensions = [
    extension(OID.basicConstraints, true, DER.sequence(DER.boolean(true), DER.integer(Uint8Array.of(0)))),
    extension(OID.keyUsage, true, AUTHORITY_USAGE),
    extension(OID.subjectKeyId, false, DER.octets(keyId(publicKey))),
  ];
  return issue({ subject: name, issuer: name, publicKey, validity, extensions, signer: privateKey }, privateKey);
}

/** A server's certificate for these names and addresses, signed by an authority. */
export function issueLeaf(
  names: readonly string[],
  validity: Validity,
  authority: { readonly name: string; readonly key: KeyObject },
): Issued {
  const { privateKey, publicKey } = newKeys();
  const authorityKeyId = keyId(createPublicKey(authority.key));
  const extensions = [
    extension(OID.basicConstraints, true, DER.sequence()),
    extension(OID.keyUsage, true, LEAF_USAGE),
    extension(OID.extendedKeyUsage, false, DER.sequence(DER.oid(OID.serverAuth))),
    extension(OID.subjectAltName, false, DER.sequence(...names.map(alternativeName))),
    extension(OID.subjectKeyId, false, DER.octets(keyId(publicKey))),
    extension(OID.authorityKeyId, false, DER.sequence(DER.implicit(0, authorityKeyId))),
  ];
  const subject = names[0]!.slice(0, COMMON_NAME_MAX_CHARS);
  return issue({ subject, issuer: authority.name, publicKey, validity, extensions, signer: authority.key }, privateKey);
}

interface Contents {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly validity: Validity;
  readonly extensions: readonly Uint8Array[];
  readonly signer: KeyObject;
}

function issue({ subject, issuer, publicKey, validity, extensions, signer }: Contents, key: KeyObject): Issued {
  const algorithm = DER.sequence(DER.oid(OID.ecdsaWithSha256));
  const toBeSigned = DER.sequence(
    DER.explicit(0, DER.integer(Uint8Array.of(2))),
    DER.integer(newSerial()),
    algorithm,
    distinguishedName(issuer),
    DER.sequence(DER.time(validity.notBefore), DER.time(validity.notAfter)),
    distinguishedName(subject),
    publicKey.export({ type: "spki", format: "der" }),
    DER.explicit(3, DER.sequence(...extensions)),
  );
  const certificate = DER.sequence(toBeSigned, algorithm, DER.bits(sign("sha256", toBeSigned, signer)));
  return { certificate: pem(certificate), key: key.export({ type: "pkcs8", format: "pem" }).toString() };
}

function newKeys() {
  return generateKeyPairSync("ec", { namedCurve: "prime256v1" });
}

/** Positive, and of the same length always: no serial tells how many there were. */
function newSerial(): Buffer {
  const serial = randomBytes(SERIAL_BYTES);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  return serial;
}

function distinguishedName(commonName: string): Buffer {
  return DER.sequence(DER.set(DER.sequence(DER.oid(OID.commonName), DER.utf8(commonName))));
}

function extension(oid: string, critical: boolean, value: Uint8Array): Buffer {
  return DER.sequence(DER.oid(oid), ...(critical ? [DER.boolean(true)] : []), DER.octets(value));
}

/** Any hash will do that is the same for the same key (RFC 5280, 4.2.1.2); of the 20 bytes that are usual. */
function keyId(publicKey: KeyObject): Buffer {
  return createHash("sha1")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest();
}

const DNS_NAME = 2;
const IP_ADDRESS = 7;

function alternativeName(name: string): Buffer {
  return isIP(name) === 0
    ? DER.implicit(DNS_NAME, Buffer.from(name, "ascii"))
    : DER.implicit(IP_ADDRESS, addressBytes(name));
}

function addressBytes(address: string): Uint8Array {
  if (isIP(address) === 4) return Uint8Array.from(address.split(".").map(Number));
  // The URL parser writes every form of an IPv6 address, such as one that ends in an IPv4 one, in groups of hex.
  const [head, tail = null] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::") as [string, string?];
  const groups = (text: string) => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
  const before = groups(head);
  const after = tail === null ? [] : groups(tail);
  const zeros = new Array<number>(8 - before.length - after.length).fill(0);
  return Uint8Array.from([...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 0xff]));
}

function pem(der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g)!;
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}
